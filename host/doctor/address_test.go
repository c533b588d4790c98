// SPDX-License-Identifier: MPL-2.0

package doctor_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/tlsfile"
	"go.uber.org/goleak"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/doctor"
	"github.com/reattach/reattach/test/kit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type speaker struct{}

func (speaker) Greet(name string) (string, error) { return "Hello " + name, nil }
func (speaker) Hi(int) (string, error)            { return "Hi", nil }

// Talker has a method more than Greeter.
type Talker interface {
	commons.Greeter
	Bye() error
}

func served() plugin.PluginSet {
	return plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: speaker{}}}
}

// serve serves a plugin until the test ends, and gives its address. Whatever change
// leaves alone is good.
func serve(t *testing.T, change func(*plugin.ServeConfig)) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := plugin.ServeConfig{
		HandshakeConfig: commons.Handshake(), VersionedPlugins: commons.Versions(served()),
		GRPCServer: plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger(),
		Network: &plugin.NetworkConfig{Name: "zh", DrainTimeout: time.Second},
	}
	if change != nil {
		change(&config)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- plugin.ServeListener(ctx, lis, &config) }()
	t.Cleanup(func() { cancel(); <-ended })
	return lis.Addr().String()
}

// secured is a plugin that shows a certificate.
func secured(shown tls.Certificate, clients *x509.CertPool) func(*plugin.ServeConfig) {
	return func(c *plugin.ServeConfig) {
		c.TLSProvider = func() (*tls.Config, error) {
			config := &tls.Config{Certificates: []tls.Certificate{shown}, ClientCAs: clients}
			if clients != nil {
				config.ClientAuth = tls.RequireAndVerifyClientCert
			}
			return config, nil
		}
	}
}

// stranger accepts connections, and answers what it reads first with text. Without a
// text it says nothing; it closes the connection behind "\x00".
func stranger(t *testing.T, text string) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = lis.Close(); <-done })
	go func() {
		defer close(done)
		var all []net.Conn
		defer func() {
			for _, c := range all {
				_ = c.Close()
			}
		}()
		for {
			c, err := lis.Accept()
			if err != nil {
				return
			}
			all = append(all, c)
			if text == "" {
				continue
			}
			go func() {
				_, _ = c.Read(make([]byte, 4<<10))
				if text != "\x00" {
					_, _ = io.WriteString(c, text)
				}
				_ = c.Close()
			}()
		}
	}()
	return lis.Addr().String()
}

// refusal is how a plugin says no.
func refusal(code string) string {
	return fmt.Sprintf("go-plugin/1 {\"refusal\":{\"code\":%q,\"message\":\"no\"}}\n", code)
}

// nameServer answers every question that there is no such name, or nothing.
func nameServer(t *testing.T, answers bool) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = server.Close(); <-done })
	go func() {
		defer close(done)
		question := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(question)
			if err != nil {
				return
			}
			if !answers || n < 4 {
				continue
			}
			question[2], question[3] = question[2]|0x80, 0x83 // an answer, with NXDOMAIN (RFC 1035, 4.1.1)
			_, _ = server.WriteTo(question[:n], from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func write(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// unused is an address where nothing listens.
func unused(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	return lis.Addr().String()
}

// abandoned is a socket that nobody listens on any more.
func abandoned(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "zh.sock")
	lis, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	lis.SetUnlinkOnClose(false)
	_ = lis.Close()
	return "unix://" + path
}

// TestAddress has the set-ups that can be broken without a cluster, with real sockets and
// certificates: the first hop that fails is named, by its code.
func TestAddress(t *testing.T) {
	now := time.Now()
	ca, other := kit.NewAuthority(t), kit.NewAuthority(t)
	server := func(names []string, from, to time.Time) tls.Certificate {
		return ca.Issue(&x509.Certificate{DNSNames: names, NotBefore: from, NotAfter: to, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	}
	zh := []string{"zh"}
	trust := tlsfile.Files{CA: write(t, ca.PEM()), CAName: "HOST_TLS_CA_FILE"}
	mistrust := tlsfile.Files{CA: write(t, other.PEM()), CAName: "HOST_TLS_CA_FILE"}
	cert, key := kit.PEM(t, ca.Named("host"))
	known := tlsfile.Files{CA: trust.CA, Cert: write(t, cert), Key: write(t, key)}
	good := serve(t, secured(ca.Named("zh"), nil))
	plain := serve(t, nil)

	cases := map[string]struct {
		reason  string
		address string
		tls     tlsfile.Files
		change  func(*doctor.Address)
		want    doctor.Code // empty: none
		hop     string
		warns   doctor.Code
	}{
		"healthy":          {reason: "nothing is wrong", address: plain},
		"healthy by TLS":   {reason: "nothing is wrong", address: good, tls: trust},
		"healthy by mTLS":  {reason: "nothing is wrong", address: serve(t, secured(ca.Named("zh"), ca.Pool())), tls: known},
		"unknown name":     {"the name server says so", "zh.nowhere:7000", tlsfile.Files{}, func(a *doctor.Address) { a.Resolver = nameServer(t, true) }, doctor.NameUnknown, "resolve", ""},
		"no name server":   {"it says nothing", "zh.nowhere:7000", tlsfile.Files{}, func(a *doctor.Address) { a.Resolver = nameServer(t, false) }, doctor.NameUnanswered, "resolve", ""},
		"nothing listens":  {"the port is closed", unused(t), tlsfile.Files{}, nil, doctor.ConnectionRefused, "connect", ""},
		"no way":           {"nobody can be reached there", "255.255.255.255:7000", tlsfile.Files{}, nil, doctor.PacketsVanish, "connect", ""},
		"no socket":        {"the file is not there", "unix:///nowhere/zh.sock", tlsfile.Files{}, nil, doctor.NoSocket, "resolve", ""},
		"a file":           {"it is no socket", "unix://" + write(t, nil), tlsfile.Files{}, nil, doctor.NoSocket, "resolve", ""},
		"unused socket":    {"its plugin is gone", abandoned(t), tlsfile.Files{}, nil, doctor.SocketUnused, "connect", ""},
		"no CA file":       {"the host cannot read it", good, tlsfile.Files{CA: "/nowhere/ca.pem"}, nil, doctor.HostTLSFiles, "tls", ""},
		"plain plugin":     {"the host wants TLS", plain, trust, nil, doctor.PluginWithoutTLS, "tls", ""},
		"web server":       {"the host wants TLS, and gets a page", stranger(t, "HTTP/1.1 400 Bad Request\r\n\r\n"), trust, nil, doctor.PluginWithoutTLS, "tls", ""},
		"plain host":       {"the plugin wants TLS", good, tlsfile.Files{}, nil, doctor.PluginWantsTLS, "hello", ""},
		"other CA":         {"the host trusts another one", good, mistrust, nil, doctor.UnknownAuthority, "tls", ""},
		"expired":          {"a minute ago", serve(t, secured(server(zh, now.Add(-time.Hour), now.Add(-time.Minute)), nil)), trust, nil, doctor.CertificateExpired, "tls", ""},
		"too new":          {"it begins tomorrow", serve(t, secured(server(zh, now.Add(24*time.Hour), now.Add(48*time.Hour)), nil)), trust, nil, doctor.CertificateTooNew, "tls", ""},
		"expires soon":     {"of a month an hour is left", serve(t, secured(server(zh, now.Add(-30*24*time.Hour), now.Add(time.Hour)), nil)), trust, nil, "", "", doctor.ExpiresSoon},
		"other name":       {"it is for somebody else", serve(t, secured(server([]string{"en", "fr"}, now.Add(-time.Hour), now.Add(time.Hour)), nil)), trust, nil, doctor.OtherName, "tls", ""},
		"no host cert":     {"the plugin wants to know its hosts", serve(t, secured(ca.Named("zh"), ca.Pool())), trust, nil, doctor.HostTurnedDown, "hello", ""},
		"other host cert":  {"the plugin trusts other hosts", serve(t, secured(ca.Named("zh"), other.Pool())), known, nil, doctor.HostTurnedDown, "hello", ""},
		"frozen under TLS": {"it accepts, and says nothing", stranger(t, ""), trust, nil, doctor.TLSBroken, "tls", ""},
		"frozen":           {"it accepts, and says nothing", stranger(t, ""), tlsfile.Files{}, nil, doctor.SaysNothing, "hello", ""},
		"not a plugin":     {"it is a web server", stranger(t, "HTTP/1.1 400 Bad Request\r\n\r\n"), tlsfile.Files{}, nil, doctor.NotPlugin, "hello", ""},
		"hangs up":         {"nothing comes before the end", stranger(t, "\x00"), tlsfile.Files{}, nil, doctor.HungUp, "hello", ""},
		"draining":         {"it says so", stranger(t, refusal(plugin.RefusedDraining)), tlsfile.Files{}, nil, doctor.Draining, "hello", ""},
		"busy":             {"it says so", stranger(t, refusal(plugin.RefusedBusy)), tlsfile.Files{}, nil, doctor.Busy, "hello", ""},
		"newer refusal":    {"a code that no host knows yet", stranger(t, refusal("moon")), tlsfile.Files{}, nil, doctor.Refused, "hello", ""},
		"protocol":         {"it says so", stranger(t, refusal(plugin.RefusedProtocol)), tlsfile.Files{}, nil, doctor.OtherProtocol, "version", ""},
		"cookie": {"another family's", serve(t, func(c *plugin.ServeConfig) { c.MagicCookieValue = "bye" }),
			tlsfile.Files{}, nil, doctor.OtherCookie, "hello", ""},
		"version": {"none in common", serve(t, func(c *plugin.ServeConfig) { c.VersionedPlugins = map[int]plugin.PluginSet{9: served()} }),
			tlsfile.Files{}, nil, doctor.OtherVersion, "version", ""},
		"contract": {"the host has a method more", plain, tlsfile.Files{}, func(a *doctor.Address) {
			a.Kinds = []daemon.Kind{daemon.NewKind[Talker](commons.GreeterKind, &commons.GreeterPlugin{})}
		}, doctor.OtherContract, "contract", ""},
		"no kind": {"the host knows another one", plain, tlsfile.Files{}, func(a *doctor.Address) {
			a.Kinds = []daemon.Kind{daemon.NewKind[commons.PingPonger](commons.PingPongerKind, &commons.PingPongerPlugin{})}
		}, doctor.NoKind, "contract", ""},
		"behind the last hop": {"what the caller adds is walked too", plain, tlsfile.Files{}, func(a *doctor.Address) {
			a.Then = []doctor.Hop{{Name: doctor.HopCall, Check: func(context.Context) (string, error) { return "", doctor.Find(doctor.CallFailed, "no") }}}
		}, doctor.CallFailed, "call", ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := doctor.Address{
				Address: tc.address, ServerName: "zh", TLS: tc.tls, Timeout: 2 * time.Second,
				Contract: attach.Contract{Handshake: commons.Handshake(), Versions: commons.Versions(served())},
				Kinds:    []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{})},
			}
			if tc.change != nil {
				tc.change(&a)
			}
			var steps []doctor.Step
			found, err := a.Walk(t.Context(), func(s doctor.Step) { steps = append(steps, s) })
			if err != nil {
				t.Fatal(err)
			}
			if found == nil {
				found = new(doctor.Finding)
			}
			if found.Code != tc.want || found.Hop != tc.hop {
				t.Errorf("%s: %+v, want %s at hop %s", tc.reason, found, tc.want, tc.hop)
			}
			if last := steps[len(steps)-1]; tc.want != "" && last.Hop != tc.hop {
				t.Errorf("%s: the walk ends at hop %s, want %s", tc.reason, last.Hop, tc.hop)
			}
			warned := func(s doctor.Step) bool { return s.Finding != nil && s.Finding.Code == tc.warns }
			if tc.warns != "" && !slices.ContainsFunc(steps, warned) {
				t.Errorf("%s: no warning %s in %+v", tc.reason, tc.warns, steps)
			}
		})
	}
}

// TestGivenUp holds that a walk which is given up names no hop.
func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	a := doctor.Address{
		Address: stranger(t, ""), ServerName: "zh", Timeout: time.Minute,
		Contract: attach.Contract{Handshake: commons.Handshake(), Versions: commons.Versions(served())},
	}
	found, err := a.Walk(ctx, func(s doctor.Step) {
		if s.Hop == doctor.HopTLS {
			time.AfterFunc(time.Millisecond, cancel)
		}
	})
	if found != nil || err != context.Canceled {
		t.Errorf("found %v, %v", found, err)
	}
}
