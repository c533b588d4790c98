// SPDX-License-Identifier: MPL-2.0

package child_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/env"
)

func newCertificate(t testing.TB) *child.Certificate {
	t.Helper()
	cert, err := child.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// TestCertificates holds that two sides which have each other's certificate speak TLS,
// and that neither takes a third one.
func TestCertificates(t *testing.T) {
	host, plugin, other := newCertificate(t), newCertificate(t), newCertificate(t)
	for name, tc := range map[string]struct {
		trustedHost, trustedPlugin *child.Certificate
		works                      bool
	}{
		"each other":        {host, plugin, true},
		"a host for others": {other, plugin, false},
		"another plugin":    {host, other, false},
	} {
		t.Run(name, func(t *testing.T) {
			server, err := plugin.ServerConfig(string(tc.trustedHost.PEM))
			if err != nil {
				t.Fatal(err)
			}
			client, err := host.ClientConfig(tc.trustedPlugin.Line())
			if err != nil {
				t.Fatal(err)
			}
			here, there := net.Pipe()
			served := make(chan error, 1)
			go func() {
				conn := tls.Server(there, server)
				served <- conn.Handshake()
				there.Close()
			}()
			hostErr := tls.Client(here, client).Handshake()
			here.Close()
			if pluginErr := <-served; (hostErr == nil && pluginErr == nil) != tc.works {
				t.Errorf("host: %v, plugin: %v, want success %v", hostErr, pluginErr, tc.works)
			}
		})
	}
}

// FuzzCertificateLine is the certificate in a child's line.
func FuzzCertificateLine(f *testing.F) {
	own := newCertificate(f)
	block, _ := pem.Decode(own.PEM)
	f.Add([]byte{})
	f.Add(block.Bytes)
	f.Add(append(slices.Clone(block.Bytes), 0))
	f.Fuzz(func(t *testing.T, der []byte) {
		line := base64.RawStdEncoding.EncodeToString(der)
		for _, text := range []string{line, string(der), line + "="} {
			cfg, err := own.ClientConfig(text)
			if err != nil {
				checkShown(t, err.Error())
				continue
			}
			if cfg.InsecureSkipVerify || cfg.ServerName == "" || cfg.RootCAs == nil || cfg.RootCAs.Equal(x509.NewCertPool()) {
				t.Fatalf("%q is taken without a check of the other side", text)
			}
		}
	})
}

// FuzzHostCertificate is PLUGIN_CLIENT_CERT, the certificate of a child's host.
func FuzzHostCertificate(f *testing.F) {
	own := newCertificate(f)
	for _, text := range []string{string(own.PEM), "", "-----BEGIN CERTIFICATE-----\n", strings.ReplaceAll(string(own.PEM), "CERTIFICATE", "PRIVATE KEY")} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := own.ServerConfig(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), env.ClientCert) {
				t.Fatal(err)
			}
			return
		}
		if block, _ := pem.Decode([]byte(text)); block == nil || cfg.ClientAuth != tls.RequireAndVerifyClientCert {
			t.Fatalf("%q is taken for a certificate", text)
		}
	})
}
