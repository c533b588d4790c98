// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/test/kit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type speaker struct{}

func (speaker) Greet(name string) (string, error) { return "Hello " + name, nil }
func (speaker) Hi(int) (string, error)            { return "Hi", nil }

func greeter() daemon.Kind {
	return daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{}, daemon.WithParams("Greet", "name"), daemon.WithSwitch(commons.SwitchGreeter))
}

// basic is a program for greeters.
func basic() Options {
	return Options{Name: "basic", Handshake: commons.Handshake(), Versions: commons.Versions, Kinds: []daemon.Kind{greeter()}}
}

// certificate makes one for some names, and what vouches for it.
func certificate(t *testing.T, names ...string) (tls.Certificate, []byte) {
	t.Helper()
	ca := kit.NewAuthority(t)
	return ca.Issue(&x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}), ca.PEM()
}

// servePlugin serves a greeter until the test ends.
func servePlugin(t *testing.T, config plugin.ServeConfig) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = hclog.NewNullLogger()
	config.GRPCServer = plugin.DefaultGRPCServer
	config.Network = &plugin.NetworkConfig{Name: "zh", DrainTimeout: time.Second}
	if config.VersionedPlugins == nil {
		config.VersionedPlugins = commons.Versions(plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: speaker{}}})
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- plugin.ServeListener(ctx, lis, &config) }()
	t.Cleanup(func() { cancel(); <-served })
	return lis.Addr().String()
}

// TestProbe holds that the hop which fails is the one that is named.
func TestProbe(t *testing.T) {
	shown, authority := certificate(t, "zh")
	_, stranger := certificate(t, "zh")
	write := func(pem []byte) string {
		t.Helper()
		path := filepath.Join(t.TempDir(), "ca.pem")
		if err := os.WriteFile(path, pem, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, bad := write(authority), write(stranger)
	secure := servePlugin(t, plugin.ServeConfig{
		HandshakeConfig: commons.Handshake(),
		TLSProvider:     func() (*tls.Config, error) { return &tls.Config{Certificates: []tls.Certificate{shown}}, nil },
	})
	plain := servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()})
	other := commons.Handshake()
	other.MagicCookieValue = "bye"
	stray := servePlugin(t, plugin.ServeConfig{HandshakeConfig: other})
	newer := servePlugin(t, plugin.ServeConfig{
		HandshakeConfig:  commons.Handshake(),
		VersionedPlugins: map[int]plugin.PluginSet{9: {commons.GreeterKind: &commons.GreeterPlugin{Impl: speaker{}}}},
	})
	mute, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()

	cases := map[string]struct {
		reason string
		args   []string
		ca     string
		code   int
		want   []string
	}{
		"plain":         {"all hops are told", []string{plain}, "", 0, []string{"ok    tls      none", "ok    version  2 over grpc", "greeter {Greet, Hi}", "ok    health   SERVING", "ok    ping"}},
		"secure":        {"the certificate's names are shown", []string{secure, "--server-name", "zh"}, good, 0, []string{"ok    tls      TLS 1.3, certificate of zh, valid until", "ok    ping"}},
		"other name":    {"the name that was asked for is in the hint", []string{secure}, good, 3, []string{"FAIL  tls", "127.0.0.1", "--server-name"}},
		"other CA":      {"the variable is in the hint", []string{secure, "--server-name", "zh"}, bad, 3, []string{"FAIL  tls", "HOST_TLS_CA_FILE"}},
		"no TLS there":  {"the plugin speaks plain TCP", []string{plain, "--server-name", "zh"}, good, 3, []string{"FAIL  tls", "PLUGIN_TLS_CERT_FILE"}},
		"no TLS here":   {"the plugin wants TLS", []string{secure}, "", 3, []string{"FAIL  hello", "HOST_TLS_CA_FILE"}},
		"other cookie":  {"it is another family's", []string{stray}, "", 3, []string{"FAIL  hello", "cookie"}},
		"other version": {"there is no version that both have", []string{newer}, "", 3, []string{"FAIL  version", "RA0504", "incompatible API version"}},
		"mute":          {"it listens, and is no plugin", []string{mute.Addr().String()}, "", 3, []string{"ok    connect", "FAIL  hello", "RA0502", "no answer"}},
	}
	h := basic()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HOST_TLS_CA_FILE", tc.ca)
			t.Setenv("ATTACH_TIMEOUT", "2s")
			t.Setenv("LOG_LEVEL", "off")
			var stdout, stderr bytes.Buffer
			code := h.run(t.Context(), append([]string{"probe"}, tc.args...), &stdout, &stderr)
			if code != tc.code || stderr.String() != "" {
				t.Errorf("%s: code %d, want %d; stderr %q", tc.reason, code, tc.code, stderr.String())
			}
			for _, want := range tc.want {
				if !strings.Contains(stdout.String(), want) {
					t.Errorf("%s: %q is not in\n%s", tc.reason, want, stdout.String())
				}
			}
		})
	}
}

// TestNamesInCertificatesAreOnlyWords shows the names of a certificate in each place
// that shows them: they are made for a terminal, and long.
func TestNamesInCertificatesAreOnlyWords(t *testing.T) {
	shown, authority := certificate(t, "\x1b[2J\x7f"+strings.Repeat("long", 5000), "zh")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, authority, 0o600); err != nil {
		t.Fatal(err)
	}
	address := servePlugin(t, plugin.ServeConfig{
		HandshakeConfig: commons.Handshake(),
		TLSProvider:     func() (*tls.Config, error) { return &tls.Config{Certificates: []tls.Certificate{shown}}, nil },
	})
	h := basic()
	t.Setenv("HOST_TLS_CA_FILE", ca)
	t.Setenv("PLUGIN_DIR", "")
	t.Setenv("NETWORK_PLUGIN", "zh="+address)
	t.Setenv("LOG_LEVEL", "trace")
	for _, args := range [][]string{
		{"probe", address, "--server-name", "zh"}, {"probe", address, "--server-name", "other"},
		{"plugins", "-o", "wide"}, {"plugins", "-o", "yaml"}, {"plugins", "-o", "json"},
	} {
		var stdout, stderr bytes.Buffer
		h.run(t.Context(), args, &stdout, &stderr)
		if !strings.Contains(stdout.String(), "x1b[2J") && !strings.Contains(stdout.String(), `\u001b[2J`) &&
			!strings.Contains(stdout.String(), `\e[2J`) && args[len(args)-1] != "other" {
			t.Errorf("%v does not show the name: %.500s%.2000s", args, &stdout, &stderr)
		}
		for _, said := range []string{stdout.String(), stderr.String()} {
			if strings.ContainsAny(said, "\x1b\x7f") {
				t.Errorf("%v: %.300q", args, said)
			}
			for line := range strings.SplitSeq(said, "\n") {
				if len(line) > 4<<10 || args[len(args)-1] == "wide" && said == stdout.String() && len(line) > 300 {
					t.Errorf("%v: a line of %d bytes: %.200q", args, len(line), line)
				}
			}
		}
	}
}
