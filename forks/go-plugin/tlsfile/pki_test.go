// SPDX-License-Identifier: MPL-2.0

package tlsfile

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin/internal/testkit"
)

// authority signs certificates for the tests.
type authority struct{ *testkit.Authority }

func newAuthority(t testing.TB, name string, parent *authority) *authority {
	t.Helper()
	if parent == nil {
		parent = new(authority)
	}
	return &authority{testkit.NewAuthority(t, name, parent.Authority)}
}

// issue returns a certificate for "pluginzh" and 127.0.0.1, good for both
// sides unless change says otherwise.
func (a *authority) issue(t testing.TB, serial int64, change func(*x509.Certificate)) (cert, key []byte) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "pluginzh"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		DNSNames:     []string{"pluginzh"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if change != nil {
		change(template)
	}
	return testkit.PEM(t, a.Issue(t, template))
}

func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
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
