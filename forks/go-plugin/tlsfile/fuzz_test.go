// SPDX-License-Identifier: MPL-2.0

package tlsfile

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// written puts the texts into files of a directory that is used again and again.
func written(t *testing.T, dir string, files map[string][]byte) (paths map[string]string) {
	t.Helper()
	paths = make(map[string]string)
	for name, text := range files {
		paths[name] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[name], text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

// FuzzPair is a certificate and its key as somebody mounted them. An error names the
// setting and the file.
func FuzzPair(f *testing.F) {
	cert, key := newAuthority(f, "ca", nil).issue(f, 2, nil)
	f.Add(cert, key)
	f.Add(key, cert)
	f.Add(append(bytes.Clone(key), cert...), append(bytes.Clone(cert), key...))
	f.Add([]byte{}, []byte("-----BEGIN \x1b-----\n-----END \x1b-----\n"))
	f.Add(cert, []byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, cert, key []byte) {
		at := written(t, dir, map[string][]byte{"cert": cert, "key": key})
		pair, err := loadPair(setting{"CERT_FILE", at["cert"]}, setting{"KEY_FILE", at["key"]})
		_, want := tls.X509KeyPair(cert, key)
		if (err == nil) != (want == nil) {
			t.Fatalf("%v, but Go says %v", err, want)
		}
		if err == nil && (pair.Leaf == nil || pair.PrivateKey == nil) {
			t.Fatalf("half a pair: %+v", pair)
		}
		if err != nil && !strings.Contains(err.Error(), "CERT_FILE ("+at["cert"]+")") && !strings.Contains(err.Error(), "KEY_FILE ("+at["key"]+")") {
			t.Fatal(err)
		}
	})
}

// FuzzAuthorities is the file of who vouches for peers. Whatever is taken holds
// certificates and all of them, so that none is left out by mistake.
func FuzzAuthorities(f *testing.F) {
	one, two := newAuthority(f, "one", nil).PEM(), newAuthority(f, "two", nil).PEM()
	f.Add(one)
	f.Add(append(bytes.Clone(one), two...))
	f.Add(append(append(bytes.Clone(one), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"...), two...))
	f.Add([]byte("no PEM"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		at := written(t, dir, map[string][]byte{"ca": text})
		pool, err := loadAuthorities(setting{"CA_FILE", at["ca"]})
		want, found := x509.NewCertPool(), 0
		for rest := text; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if block.Type != "CERTIFICATE" {
				continue
			}
			cert, bad := x509.ParseCertificate(block.Bytes)
			if bad != nil {
				found = 0
				break
			}
			want.AddCert(cert)
			found++
		}
		if err != nil {
			if !strings.Contains(err.Error(), "CA_FILE ("+at["ca"]+")") || found > 0 {
				t.Fatalf("%d certificates: %v", found, err)
			}
			return
		}
		if found == 0 || !pool.Equal(want) {
			t.Fatalf("of %d certificates others were taken", found)
		}
	})
}
