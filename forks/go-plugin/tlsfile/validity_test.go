// SPDX-License-Identifier: MPL-2.0

package tlsfile

import (
	"crypto/tls"
	"testing"
)

func TestFirstToEnd(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	cert, key := ca.issue(t, 1, nil)
	files := secret(t, cert, key, ca.PEM())
	server, client := mustServer(t, files, nil), mustClient(t, files, "pluginzh", nil)
	serial := func(cfg *tls.Config) int64 {
		if first := FirstToEnd(cfg); first != nil {
			return first.SerialNumber.Int64()
		}
		return 0
	}
	for _, cfg := range []*tls.Config{server, client} {
		if got := serial(cfg); got != 1 {
			t.Errorf("the certificate has the number %d, want 1", got)
		}
	}
	cert, key = ca.issue(t, 2, nil)
	put(t, files.Cert, cert, long)
	put(t, files.Key, key, long)
	for _, cfg := range []*tls.Config{server, client} {
		if got := serial(cfg); got != 2 {
			t.Errorf("the renewed certificate has the number %d, want 2", got)
		}
	}
	for name, cfg := range map[string]*tls.Config{
		"none":      nil,
		"without":   {},
		"CA alone":  mustClient(t, secret(t, nil, nil, ca.PEM()), "pluginzh", nil),
		"by a peer": {GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, hello.Conn.Close() }},
	} {
		if got := serial(cfg); got != 0 {
			t.Errorf("%s: the certificate has the number %d, want none", name, got)
		}
	}
}
