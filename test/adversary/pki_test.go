// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"

	"github.com/reattach/reattach/commons"

	"github.com/hashicorp/go-plugin"
	"github.com/reattach/reattach/test/kit"
)

// authority signs certificates for both sides.
type authority struct {
	*kit.Authority
	t *testing.T
}

func newAuthority(t *testing.T) *authority { return &authority{kit.NewAuthority(t), t} }

// issue signs a certificate for the loopback address.
func (a *authority) issue(template *x509.Certificate) tls.Certificate {
	a.t.Helper()
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	return a.Issue(template)
}

func (a *authority) client() tls.Certificate {
	return a.issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// pluginEnv has a plugin show a certificate, and require one of its hosts.
func (a *authority) pluginEnv() []string {
	a.t.Helper()
	cert, key := kit.PEM(a.t, a.issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}))
	return []string{
		"PLUGIN_TLS_CERT_FILE=" + writeFile(a.t, string(cert)),
		"PLUGIN_TLS_KEY_FILE=" + writeFile(a.t, string(key)),
		"PLUGIN_TLS_CLIENT_CA_FILE=" + writeFile(a.t, string(a.PEM())),
	}
}

// config is that of a client which trusts the authority, and shows certificates.
func (a *authority) config(show ...tls.Certificate) *tls.Config {
	return &tls.Config{RootCAs: a.Pool(), ServerName: "127.0.0.1", Certificates: show}
}

// startTLSPlugin starts a plugin that requires certificates of an authority, and gives
// the configuration of an honest host.
func startTLSPlugin(t *testing.T, a *authority, env ...string) (*victim, func(version int) *plugin.ClientConfig) {
	t.Helper()
	v := startPlugin(t, append(a.pluginEnv(), env...)...)
	good := a.client()
	honest := func(version int) *plugin.ClientConfig {
		cfg := v.clientConfig(version)
		cfg.TLSConfig = a.config(good)
		return cfg
	}
	s, err := plugin.Attach(t.Context(), honest(commons.VersionGRPC))
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	return v, honest
}
