// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// secretDir is a directory as a kubernetes.io/tls Secret is mounted, and beside
// it what hosts need.
type secretDir struct {
	dir string
	ca  *authority
}

func newSecretDir(t *testing.T) secretDir {
	t.Helper()
	s := secretDir{dir: t.TempDir(), ca: newAuthority(t, "the plugin's CA")}
	s.ca.write(s.dir, "plugin")
	s.ca.write(s.dir, "host")
	return s
}

func (s secretDir) env() []string {
	return []string{
		"PLUGIN_TLS_CERT_FILE=" + filepath.Join(s.dir, "plugin.pem"),
		"PLUGIN_TLS_KEY_FILE=" + filepath.Join(s.dir, "plugin.key"),
		"PLUGIN_TLS_CLIENT_CA_FILE=" + filepath.Join(s.dir, "ca.pem"),
	}
}

func (s secretDir) client(p *pod, name string) hostapi.Client {
	spec := p.client(name)
	spec.TLS = s.dir
	return spec
}

// presented makes a TLS connection like a host and returns the certificate that
// the plugin presents.
func (s secretDir) presented(t *testing.T, p *pod) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial(p.network, p.address, s.tlsConfig(t, s.dir, "host"))
	if err != nil {
		t.Fatalf("make a TLS connection to the plugin: %v", err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

// tlsConfig trusts the plugin's CA and shows the certificate of that name in
// dir, or none if the name is empty.
func (s secretDir) tlsConfig(t *testing.T, dir, name string) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.ca.cert)
	cfg := &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: tls.VersionTLS12}
	if name != "" {
		cert, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key"))
		if err != nil {
			t.Fatalf("load the certificate %s: %v", name, err)
		}
		// Certificates would be left out if the plugin does not name their CA.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &cert, nil }
	}
	return cfg
}

// TestCertificateRotation replaces the plugin's certificate under load.
func TestCertificateRotation(t *testing.T) {
	const (
		rotations = 3
		hosts     = 4
		loadTime  = 6 * time.Second
	)
	protocols(func(t *testing.T, protocol string) {
		secret := newSecretDir(t)
		p := startPod(t, fork, onNetwork(single(protocol), secret.env()...))
		host := startHost(t, fork)
		var loads []*rpc.Call
		for i := range hosts {
			spec := secret.client(p, fmt.Sprint("host ", i))
			host.Open(spec)
			load := hostapi.Load{Name: spec.Name, ForMS: loadTime.Milliseconds(), Callback: true}
			loads = append(loads, host.Send("Load", load, &hostapi.LoadResult{}))
		}
		var slowest time.Duration
		for range rotations {
			old := secret.presented(t, p)
			secret.ca.write(secret.dir, "plugin")
			start := time.Now()
			kit.Eventually(t, "new connections are shown the new certificate", func() bool {
				return !secret.presented(t, p).Equal(old)
			})
			slowest = max(slowest, time.Since(start))
			newcomer := startHost(t, fork)
			newcomer.Open(secret.client(p, "newcomer"))
			newcomer.works("newcomer")
		}
		total := awaitCrowd(t, loads)
		report(t, fmt.Sprintf("certificate rotation, %-6s: %d rotations during %d calls of %d hosts, %d failed; a new certificate was in use after %v at the latest",
			protocol, rotations, total.Calls, hosts, total.Failed, slowest.Round(time.Millisecond)))
	})(t)
}

// TestRefusedTLSClients connects as clients that must not be served. Each gets
// an alert and nothing else, and one line of the plugin's log says who it was.
func TestRefusedTLSClients(t *testing.T) {
	secret := newSecretDir(t)
	secret.ca.writeUntil(secret.dir, "expired", time.Now().Add(-time.Hour))
	foreign := t.TempDir()
	newAuthority(t, "another CA").write(foreign, "stranger")
	p := startPod(t, fork, onNetwork(single("grpc"), secret.env()...))
	host := startHost(t, fork)
	host.Open(secret.client(p, "welcome"))
	for name, cfg := range map[string]*tls.Config{
		"no certificate":            secret.tlsConfig(t, "", ""),
		"certificate of another CA": secret.tlsConfig(t, foreign, "stranger"),
		"expired certificate":       secret.tlsConfig(t, secret.dir, "expired"),
		"plaintext":                 nil,
	} {
		t.Run(name, func(t *testing.T) {
			peer, err := knock(t, p, cfg)
			if err != nil {
				t.Error(err)
			}
			var lines []string
			kit.Eventually(t, "the plugin logs the refusal of "+peer, func() bool {
				lines = refusals(t, p, peer)
				return len(lines) > 0
			})
			host.works("welcome")
			if len(lines) != 1 {
				t.Errorf("the plugin logs %d lines about %s, want 1: %v", len(lines), peer, lines)
			}
			report(t, fmt.Sprintf("refused client, %-26s %s", name+":", lines[0]))
		})
	}
}

// knock sends a hello, inside of TLS if there is a configuration, and returns
// an error unless an alert is all that comes back.
func knock(t *testing.T, p *pod, cfg *tls.Config) (peer string, err error) {
	t.Helper()
	const hello = "go-plugin/1 {}\n"
	raw, err := net.Dial(p.network, p.address)
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer raw.Close()
	if err := raw.SetDeadline(time.Now().Add(kit.Patience)); err != nil {
		t.Fatal(err)
	}
	peer = raw.LocalAddr().String()
	if cfg == nil {
		if _, err := io.WriteString(raw, hello); err != nil {
			return peer, fmt.Errorf("say hello in plain text: %w", err)
		}
		answer, err := io.ReadAll(raw)
		// Record type alert, any version, two bytes, fatal.
		if err != nil || len(answer) != 7 || answer[0] != 0x15 || answer[5] != 2 {
			return peer, fmt.Errorf("the answer to plain text is %q (%w), want a TLS alert and the end", answer, err)
		}
		return peer, nil
	}
	conn := tls.Client(raw, cfg)
	// In TLS 1.3 a client may take itself for connected before the server has
	// looked at its certificate.
	_, err = io.WriteString(conn, hello)
	if err == nil {
		var answer []byte
		if answer, err = io.ReadAll(conn); len(answer) > 0 {
			return peer, fmt.Errorf("the plugin answered %q", answer)
		}
	}
	var alert *net.OpError
	if !errors.As(err, &alert) || alert.Op != "remote error" {
		return peer, fmt.Errorf("the client ends with %v, want an alert of the plugin", err)
	}
	return peer, nil
}

// refusals returns what the plugin has logged about a refused peer.
func refusals(t *testing.T, p *pod, peer string) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(p.Stderr.String()) {
		var entry struct {
			Level   string `json:"@level"`
			Message string `json:"@message"`
			Peer    string `json:"peer"`
			Error   string `json:"error"`
		}
		if json.Unmarshal([]byte(line), &entry) != nil || entry.Peer != peer || entry.Level == "debug" {
			continue
		}
		if entry.Error == "" {
			t.Errorf("the log does not say why %s was refused: %s", peer, line)
		}
		found = append(found, entry.Message+": "+entry.Error)
	}
	return found
}
