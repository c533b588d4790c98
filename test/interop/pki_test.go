// SPDX-License-Identifier: MPL-2.0

package interop

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

// authority signs certificates.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber:          newSerial(t),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatalf("sign the CA %s: %v", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatalf("read the CA %s: %v", name, err)
	}
	return &authority{t: t, cert: cert, key: key, pem: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// issue returns a certificate for "localhost" in both roles, and its key.
func (a *authority) issue(name string, notAfter time.Time) (cert, key []byte) {
	a.t.Helper()
	private := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: newSerial(a.t),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-2 * time.Hour),
		NotAfter:     notAfter,
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, private.Public(), a.key)
	if err != nil {
		a.t.Fatalf("sign the certificate of %s: %v", name, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatalf("encode the key of %s: %v", name, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// write issues a certificate that is valid for an hour and puts it into dir as
// NAME.pem and NAME.key, beside the CA.
func (a *authority) write(dir, name string) {
	a.t.Helper()
	a.writeUntil(dir, name, time.Now().Add(time.Hour))
}

func (a *authority) writeUntil(dir, name string, notAfter time.Time) {
	a.t.Helper()
	cert, key := a.issue(name, notAfter)
	writeFile(a.t, filepath.Join(dir, "ca.pem"), a.pem)
	writeFile(a.t, filepath.Join(dir, name+".pem"), cert)
	writeFile(a.t, filepath.Join(dir, name+".key"), key)
}

// newTLSDir returns a directory with a CA and the certificates of a host and a
// plugin.
func newTLSDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	ca := newAuthority(t, "interop CA")
	ca.write(dir, "plugin")
	ca.write(dir, "host")
	return dir
}

// writeFile replaces a file at once, so that no reader sees half of it.
func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatalf("replace %s: %v", path, err)
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	return key
}

func newSerial(t *testing.T) *big.Int {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatalf("make a serial number: %v", err)
	}
	return serial
}
