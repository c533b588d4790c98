// SPDX-License-Identifier: MPL-2.0

package tlsfile

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// meeting is one TLS connection between two configurations over loopback.
type meeting struct {
	client, server       *tls.Conn
	clientErr, serverErr error
}

// meet shakes hands and carries one byte each way: a client of TLS 1.3 learns
// that its certificate was refused only when it reads.
func meet(t *testing.T, client, server *tls.Config) *meeting {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	dialed, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{dialed, accepted} {
		c.SetDeadline(time.Now().Add(20 * time.Second))
		t.Cleanup(func() { c.Close() })
	}
	m := &meeting{client: tls.Client(dialed, client), server: tls.Server(accepted, server)}
	served := make(chan error, 1)
	go func() {
		err := echo(m.server)
		if err != nil {
			// A full close with unread input would reset the connection, and
			// the alert might not arrive.
			accepted.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, accepted)
		}
		served <- err
	}()
	m.clientErr = m.ask()
	if m.clientErr != nil {
		dialed.Close()
	}
	m.serverErr = <-served
	return m
}

func echo(conn net.Conn) error {
	p := make([]byte, 1)
	if _, err := io.ReadFull(conn, p); err != nil {
		return err
	}
	_, err := conn.Write(p)
	return err
}

func (m *meeting) ask() error {
	if _, err := m.client.Write([]byte("?")); err != nil {
		return err
	}
	_, err := io.ReadFull(m.client, make([]byte, 1))
	return err
}

// serial is the serial number of the certificate that the server presented.
func (m *meeting) serial() int64 {
	return m.client.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
}

func mustServer(t *testing.T, files Files, logger hclog.Logger) *tls.Config {
	t.Helper()
	cfg, err := Server(files, logger)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func mustClient(t *testing.T, files Files, name string, logger hclog.Logger) *tls.Config {
	t.Helper()
	cfg, err := Client(files, name, logger)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestHandshake(t *testing.T) {
	ours, theirs := newAuthority(t, "ours", nil), newAuthority(t, "theirs", nil)
	middle := newAuthority(t, "intermediate", ours)
	side := func(from *authority, serial int64, trusts *authority, change func(*x509.Certificate)) Files {
		cert, key := from.issue(t, serial, change)
		if from == middle {
			cert = append(cert, middle.PEM()...)
		}
		var ca []byte
		if trusts != nil {
			ca = trusts.PEM()
		}
		return secret(t, cert, key, ca)
	}
	trustOnly := secret(t, nil, nil, ours.PEM())
	only := func(usage x509.ExtKeyUsage) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{usage} }
	}
	cases := map[string]struct {
		reason string
		server Files
		client Files
		name   string
		// clientErr and serverErr are parts of the two sides' errors.
		clientErr, serverErr string
	}{
		"Mutual":           {reason: "Both sides know each other's CA.", server: side(ours, 7, ours, nil), client: side(ours, 8, ours, nil), name: "pluginzh"},
		"ServerOnly":       {reason: "Without a CA the server asks for no certificate.", server: side(ours, 7, nil, nil), client: trustOnly, name: "pluginzh"},
		"Address":          {reason: "An IP address is a name too, which SNI does not carry.", server: side(ours, 7, nil, nil), client: trustOnly, name: "127.0.0.1"},
		"Intermediates":    {reason: "The chain may pass through certificates that are sent along.", server: side(middle, 7, ours, nil), client: side(middle, 8, ours, nil), name: "pluginzh"},
		"NoClientCert":     {reason: "A client without a certificate is refused.", server: side(ours, 7, ours, nil), client: trustOnly, name: "pluginzh", clientErr: "certificate required", serverErr: "didn't provide a certificate"},
		"ClientOfOther":    {reason: "One of another CA is refused.", server: side(ours, 7, ours, nil), client: side(theirs, 8, ours, nil), name: "pluginzh", clientErr: "unknown certificate authority", serverErr: "unknown authority"},
		"ClientExpired":    {reason: "So is an expired one.", server: side(ours, 7, ours, nil), client: side(ours, 8, ours, expired), name: "pluginzh", clientErr: "expired certificate", serverErr: "expired"},
		"ClientIsServer":   {reason: "A server's certificate does not make a client.", server: side(ours, 7, ours, nil), client: side(ours, 8, ours, only(x509.ExtKeyUsageServerAuth)), name: "pluginzh", clientErr: "bad certificate", serverErr: "incompatible key usage"},
		"ServerOfOther":    {reason: "A server of another CA is refused.", server: side(theirs, 7, nil, nil), client: trustOnly, name: "pluginzh", clientErr: "unknown authority", serverErr: "bad certificate"},
		"ServerExpired":    {reason: "So is an expired one.", server: side(ours, 7, nil, expired), client: trustOnly, name: "pluginzh", clientErr: "expired", serverErr: "bad certificate"},
		"ServerIsClient":   {reason: "A client's certificate does not make a server.", server: side(ours, 7, nil, only(x509.ExtKeyUsageClientAuth)), client: trustOnly, name: "pluginzh", clientErr: "incompatible key usage", serverErr: "bad certificate"},
		"WrongName":        {reason: "The name must be the one asked for.", server: side(ours, 7, nil, nil), client: trustOnly, name: "pluginen", clientErr: "not pluginen", serverErr: "bad certificate"},
		"WrongAddress":     {reason: "So must the address.", server: side(ours, 7, nil, nil), client: trustOnly, name: "127.0.0.2", clientErr: "127.0.0.2", serverErr: "bad certificate"},
		"NoName":           {reason: "Without a name nothing is verified, so nothing is trusted.", server: side(ours, 7, nil, nil), client: trustOnly, clientErr: "no server name", serverErr: "bad certificate"},
		"SystemAuthority":  {reason: "Without a CA the system's decide, and ours is none of them.", server: side(ours, 7, nil, nil), client: Files{}, name: "pluginzh", clientErr: "unknown authority", serverErr: "bad certificate"},
		"SystemButMutual":  {reason: "A client may present a certificate and trust the system's CAs.", server: side(ours, 7, ours, nil), client: side(ours, 8, nil, nil), name: "pluginzh", clientErr: "unknown authority", serverErr: "bad certificate"},
		"ServerUnverified": {reason: "A chain that lacks its intermediate is refused.", server: func() Files { c, k := middle.issue(t, 7, nil); return secret(t, c, k, nil) }(), client: trustOnly, name: "pluginzh", clientErr: "unknown authority", serverErr: "bad certificate"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := meet(t, mustClient(t, tc.client, tc.name, nil), mustServer(t, tc.server, nil))
			for side, pair := range map[string]struct {
				err  error
				want string
			}{"client": {m.clientErr, tc.clientErr}, "server": {m.serverErr, tc.serverErr}} {
				if pair.want == "" && pair.err != nil {
					t.Errorf("%s\n%s: %v", tc.reason, side, pair.err)
				}
				if pair.want != "" && (pair.err == nil || !strings.Contains(pair.err.Error(), pair.want)) {
					t.Errorf("%s\n%s: want %q in: %v", tc.reason, side, pair.want, pair.err)
				}
			}
			if tc.clientErr != "" || m.clientErr != nil {
				return
			}
			state := m.client.ConnectionState()
			if m.serial() != 7 || state.NegotiatedProtocol != "h2" || state.Version < tls.VersionTLS12 {
				t.Errorf("%s\nserial %d, ALPN %q, version %x", tc.reason, m.serial(), state.NegotiatedProtocol, state.Version)
			}
		})
	}
}

// TestNameOfClone has the caller set the name on a clone, as gRPC does.
func TestNameOfClone(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	cert, key := ca.issue(t, 7, nil)
	server := mustServer(t, secret(t, cert, key, nil), nil)
	client := mustClient(t, secret(t, nil, nil, ca.PEM()), "", nil)
	for name, want := range map[string]string{"pluginzh": "", "other": "not other"} {
		clone := client.Clone()
		clone.ServerName = name
		m := meet(t, clone, server)
		if want == "" && m.clientErr != nil || want != "" && (m.clientErr == nil || !strings.Contains(m.clientErr.Error(), want)) {
			t.Errorf("%s: want %q, got %v", name, want, m.clientErr)
		}
	}
}

func TestOldVersionIsRefused(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	cert, key := ca.issue(t, 7, nil)
	server := mustServer(t, secret(t, cert, key, nil), nil)
	old := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	if m := meet(t, old, server); m.serverErr == nil || !strings.Contains(m.serverErr.Error(), "unsupported versions") {
		t.Errorf("TLS 1.1 was served: %v", m.serverErr)
	}
}
