// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type speaker struct{}

func (speaker) Greet(name string) (string, error) { return "Hello " + name, nil }
func (speaker) Hi(int) (string, error)            { return "Hi", nil }

func greeter() daemon.Kind {
	return daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{}, daemon.WithSwitch(commons.SwitchGreeter))
}

// basic is a program for greeters.
func basic() Options {
	return Options{Name: "basic", Handshake: commons.Handshake(), Versions: commons.Versions, Kinds: []daemon.Kind{greeter()}}
}

// certificate makes one for some names, which vouches for itself.
func certificate(t *testing.T, names ...string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
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
		"other version": {"there is no version that both have", []string{newer}, "", 3, []string{"FAIL  hello", "version"}},
		"mute":          {"it listens, and is no plugin", []string{mute.Addr().String()}, "", 3, []string{"ok    tcp", "FAIL  hello", "does not answer"}},
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
