// SPDX-License-Identifier: MPL-2.0

package expose

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/tlsfile"
)

// TestStrangers holds where a host may bring the cookie, and where it is said that anybody may
// come.
func TestStrangers(t *testing.T) {
	authority := tlsfile.Files{Cert: "cert.pem", Key: "key.pem", CA: "ca.pem"}
	cases := map[string]struct {
		at     net.Addr
		tls    tlsfile.Files
		expect bool
	}{
		"every address":             {at: &net.TCPAddr{IP: net.IPv6unspecified, Port: 7000}, expect: true},
		"every address of IPv4":     {at: &net.TCPAddr{IP: net.IPv4zero, Port: 7000}, expect: true},
		"an address":                {at: &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 7000}, expect: true},
		"TLS without a client CA":   {at: &net.TCPAddr{IP: net.IPv4zero, Port: 7000}, tls: tlsfile.Files{Cert: "cert.pem", Key: "key.pem"}, expect: true},
		"certificates of hosts":     {at: &net.TCPAddr{IP: net.IPv4zero, Port: 7000}, tls: authority},
		"loopback":                  {at: &net.TCPAddr{IP: net.IPv4(127, 1, 2, 3), Port: 7000}},
		"loopback of IPv6":          {at: &net.TCPAddr{IP: net.IPv6loopback, Port: 7000}},
		"loopback of IPv4, in IPv6": {at: &net.TCPAddr{IP: net.ParseIP("::ffff:127.0.0.1"), Port: 7000}},
		"a unix socket":             {at: &net.UnixAddr{Net: "unix", Name: "/run/plugins/store.sock"}},
		"what nobody here knows":    {at: &net.IPAddr{IP: net.IPv4(127, 0, 0, 1)}, expect: true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			o := Options{Network: &plugin.NetworkConfig{TLS: tc.tls}, Logger: hclog.New(&hclog.LoggerOptions{Output: &log})}
			if err := o.checkListener(tc.at); (err != nil) != tc.expect {
				t.Errorf("without a cookie: %v", err)
			}
			o.Cookie = testCookie
			if err := o.checkListener(tc.at); err != nil {
				t.Errorf("with a cookie: %v", err)
			}
			o.warnOfStrangers(tc.at)
			if got := log.String(); strings.Contains(got, "anybody who reaches the address can call") != tc.expect || strings.Count(got, "\n") > 1 {
				t.Errorf("it says %q", got)
			}
		})
	}
}

// TestRunAmongStrangers runs a server on every address: without a cookie it serves nobody, and
// says the ways out.
func TestRunAmongStrangers(t *testing.T) {
	for name, cookie := range map[string]plugin.HandshakeConfig{"no cookie": {}, "a cookie": testCookie} {
		t.Run(name, func(t *testing.T) {
			s, err := New(t.Context(), Options{Command: []string{os.Args[0]}, Cookie: cookie, ListenName: "--listen 0.0.0.0:0", Network: &plugin.NetworkConfig{}})
			if err != nil {
				t.Fatal(err)
			}
			lis, err := net.Listen("tcp", "0.0.0.0:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			serves := &servesListener{Listener: lis, serves: cancel}
			err = s.Run(ctx, serves)
			if name == "a cookie" {
				if err != nil {
					t.Errorf("it has ended: %v", err)
				}
				return
			}
			if !errors.Is(err, ErrOptions) {
				t.Fatalf("got %v, want ErrOptions", err)
			}
			for _, says := range []string{"--listen 0.0.0.0:0 can be reached from elsewhere", "--cookie KEY=VALUE", "--listen 127.0.0.1:7000", "PLUGIN_TLS_CLIENT_CA_FILE"} {
				if !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
					t.Errorf("it says %q, want %q in one line", err, says)
				}
			}
			if _, err := net.Dial("tcp", lis.Addr().String()); err == nil {
				t.Error("it listens still")
			}
		})
	}
}

// servesListener tells when somebody wants its connections.
type servesListener struct {
	net.Listener
	serves func()
}

func (l *servesListener) Accept() (net.Conn, error) {
	l.serves()
	return l.Listener.Accept()
}

// TestUnixSocketWithoutCookie serves on a socket, where the host's cookie is taken.
func TestUnixSocketWithoutCookie(t *testing.T) {
	s, err := New(t.Context(), Options{Command: []string{os.Args[0]}, Network: &plugin.NetworkConfig{}})
	if err != nil {
		t.Fatal(err)
	}
	lis, err := plugin.ListenUnix("--listen", "unix://"+filepath.Join(t.TempDir(), "x.sock"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := s.Run(ctx, &servesListener{Listener: lis, serves: cancel}); err != nil {
		t.Errorf("it does not serve: %v", err)
	}
}
