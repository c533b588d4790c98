// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/reattach/reattach/commons"

	"github.com/hashicorp/go-plugin"
)

// authority signs certificates for both sides.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	pair := a.issue(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.key, a.cert = pair.PrivateKey.(*ecdsa.PrivateKey), pair.Leaf
	return a
}

// issue signs a certificate for the loopback address, which is valid for an hour
// where the template does not say otherwise.
func (a *authority) issue(template *x509.Certificate) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: "adversary"}
	template.NotBefore, template.IPAddresses = time.Now().Add(-time.Hour), []net.IP{net.IPv4(127, 0, 0, 1)}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	issuer, signer := a.cert, a.key
	if issuer == nil { // it signs itself
		issuer, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

func (a *authority) client() tls.Certificate {
	return a.issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// pluginEnv has a plugin show a certificate, and require one of its hosts.
func (a *authority) pluginEnv() []string {
	a.t.Helper()
	cert := a.issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	file := func(kind string, der []byte) string {
		return writeFile(a.t, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	return []string{
		"PLUGIN_TLS_CERT_FILE=" + file("CERTIFICATE", cert.Certificate[0]),
		"PLUGIN_TLS_KEY_FILE=" + file("PRIVATE KEY", key),
		"PLUGIN_TLS_CLIENT_CA_FILE=" + file("CERTIFICATE", a.cert.Raw),
	}
}

// config is that of a client which trusts the authority, and shows certificates.
func (a *authority) config(show ...tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", Certificates: show}
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
