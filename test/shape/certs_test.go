// SPDX-License-Identifier: MPL-2.0

package shape

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestCerts has certs.sh make certificates, with a kubectl that only notes which Secrets
// it was to make.
func TestCerts(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("there is no openssl")
	}
	bin, dir := t.TempDir(), t.TempDir()
	kubectl := "#!/bin/sh\nif [ \"$1\" = create ]; then echo \"$4\" >>" + dir + "/secrets; fi\n"
	if err := os.WriteFile(filepath.Join(bin, "kubectl"), []byte(kubectl), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, names := range [][]string{nil, {"store"}, {"basic", "mail"}} { // those of no name are the first
		cmd := exec.CommandContext(t.Context(), filepath.Join(root, "deploy/overlays/mtls/certs.sh"), names...)
		cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "CERTS_DIR="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("certs.sh %q: %v\n%s", names, err, out)
		}
	}
	made, err := os.ReadFile(filepath.Join(dir, "secrets"))
	if want := "basic-tls\npluginzh-tls\nstore-tls\nbasic-tls\nmail-tls\n"; err != nil || string(made) != want {
		t.Errorf("the Secrets are %q, %v, want %q", made, err, want)
	}
	authority := x509.NewCertPool()
	authority.AddCert(certificate(t, filepath.Join(dir, "ca.crt")))
	for _, name := range []string{"basic", "pluginzh", "store", "mail"} {
		c := certificate(t, filepath.Join(dir, name+".crt"))
		for _, use := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := c.Verify(x509.VerifyOptions{Roots: authority, DNSName: name, KeyUsages: []x509.ExtKeyUsage{use}}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if !slices.Equal(c.DNSNames, []string{name}) {
			t.Errorf("the certificate of %s is for %q", name, c.DNSNames)
		}
	}
}

func certificate(t *testing.T, path string) *x509.Certificate {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		t.Fatalf("%s: no PEM", path)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
