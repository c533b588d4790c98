// SPDX-License-Identifier: MPL-2.0

package tlsfile

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority signs certificates for the tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func template(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t testing.TB, name string, parent *authority) *authority {
	t.Helper()
	made := &authority{key: newKey(t)}
	tmpl := template(name, 1)
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	signer := &authority{cert: tmpl, key: made.key}
	if parent != nil {
		signer = parent
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, signer.cert, made.key.Public(), signer.key)
	if err != nil {
		t.Fatal(err)
	}
	if made.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return made
}

func (a *authority) pem() []byte { return certPEM(a.cert.Raw) }

// issue returns a certificate for "pluginzh" and 127.0.0.1, good for both
// sides unless change says otherwise.
func (a *authority) issue(t testing.TB, serial int64, change func(*x509.Certificate)) (cert, key []byte) {
	t.Helper()
	tmpl := template("pluginzh", serial)
	tmpl.DNSNames = []string{"pluginzh"}
	tmpl.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if change != nil {
		change(tmpl)
	}
	private := newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, private.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return certPEM(der), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})
}

func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// long is the age of files whose time stamps can be trusted.
const long = time.Hour

// put replaces a file as a rename does, with a time stamp of the given age.
func put(t testing.TB, path string, content []byte, age time.Duration) {
	t.Helper()
	fresh := path + ".new"
	if err := os.WriteFile(fresh, content, 0o600); err != nil {
		t.Fatal(err)
	}
	stamp := time.Now().Add(-age)
	if err := os.Chtimes(fresh, stamp, stamp); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(fresh, path); err != nil {
		t.Fatal(err)
	}
}

// secret writes the three files of a side into a directory of their own.
func secret(t testing.TB, cert, key, ca []byte) Files {
	t.Helper()
	dir := t.TempDir()
	files := Files{CertName: "CERT_FILE", KeyName: "KEY_FILE", CAName: "CA_FILE"}
	if cert != nil {
		files.Cert = filepath.Join(dir, "tls.crt")
		put(t, files.Cert, cert, long)
	}
	if key != nil {
		files.Key = filepath.Join(dir, "tls.key")
		put(t, files.Key, key, long)
	}
	if ca != nil {
		files.CA = filepath.Join(dir, "ca.crt")
		put(t, files.CA, ca, long)
	}
	return files
}
