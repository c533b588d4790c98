// SPDX-License-Identifier: MPL-2.0

package tlsfile

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestLoadErrors(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	cert, key := ca.issue(t, 7, nil)
	_, otherKey := ca.issue(t, 8, nil)
	good := secret(t, cert, key, ca.PEM())
	absent := filepath.Join(t.TempDir(), "absent")
	with := func(change func(*Files)) Files {
		f := good
		change(&f)
		return f
	}
	file := func(content []byte) string {
		path := filepath.Join(t.TempDir(), "file")
		put(t, path, content, long)
		return path
	}
	block, _ := pem.Decode(ca.PEM())
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("this is no certificate")})
	cases := map[string]struct {
		reason string
		files  Files
		want   []string
		is     error
	}{
		"NoKey":       {reason: "Half a pair names the other half.", files: with(func(f *Files) { f.Key = "" }), want: []string{"CERT_FILE is set, but KEY_FILE is missing"}},
		"NoCert":      {reason: "Either half.", files: with(func(f *Files) { f.Cert = "" }), want: []string{"KEY_FILE is set, but CERT_FILE is missing"}},
		"CertAbsent":  {reason: "A missing file is named with its setting.", files: with(func(f *Files) { f.Cert = absent }), want: []string{"CERT_FILE (" + absent + ")", "no such file"}, is: fs.ErrNotExist},
		"KeyAbsent":   {reason: "A missing file is named with its setting.", files: with(func(f *Files) { f.Key = absent }), want: []string{"KEY_FILE (" + absent + ")", "no such file"}, is: fs.ErrNotExist},
		"CAAbsent":    {reason: "A missing file is named with its setting.", files: with(func(f *Files) { f.CA = absent }), want: []string{"CA_FILE (" + absent + ")", "no such file"}, is: fs.ErrNotExist},
		"CertNotPEM":  {reason: "DER instead of PEM.", files: with(func(f *Files) { f.Cert = file(block.Bytes) }), want: []string{"CERT_FILE", "not PEM"}},
		"KeyNotPEM":   {reason: "Anything instead of PEM.", files: with(func(f *Files) { f.Key = file([]byte("secret")) }), want: []string{"KEY_FILE", "not PEM"}},
		"Switched":    {reason: "The two files the wrong way round.", files: with(func(f *Files) { f.Cert, f.Key = f.Key, f.Cert }), want: []string{"CERT_FILE", "no certificate in it, only PRIVATE KEY"}},
		"CertAsKey":   {reason: "The certificate given twice.", files: with(func(f *Files) { f.Key = f.Cert }), want: []string{"KEY_FILE", "no private key in it, only CERTIFICATE"}},
		"Mismatch":    {reason: "A key of another certificate names both files.", files: with(func(f *Files) { f.Key = file(otherKey) }), want: []string{"CERT_FILE (" + good.Cert + ")", "KEY_FILE", "does not match"}},
		"BrokenCert":  {reason: "PEM around garbage.", files: with(func(f *Files) { f.Cert = file(broken) }), want: []string{"CERT_FILE", "x509"}},
		"EmptyCert":   {reason: "An empty file.", files: with(func(f *Files) { f.Cert = file(nil) }), want: []string{"CERT_FILE", "the file is empty"}},
		"CAEmpty":     {reason: "An empty file.", files: with(func(f *Files) { f.CA = file(nil) }), want: []string{"CA_FILE", "the file is empty"}},
		"CAIsKey":     {reason: "A CA file with no certificate.", files: with(func(f *Files) { f.CA = file(key) }), want: []string{"CA_FILE", "no certificate in it, only PRIVATE KEY"}},
		"CABroken":    {reason: "The certificate that is broken is counted.", files: with(func(f *Files) { f.CA = file(append(ca.PEM(), broken...)) }), want: []string{"CA_FILE", "certificate 2"}},
		"CADirectory": {reason: "A directory.", files: with(func(f *Files) { f.CA = t.TempDir() }), want: []string{"CA_FILE", "is a directory"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, serverErr := Server(tc.files, nil)
			_, clientErr := Client(tc.files, "pluginzh", nil)
			for side, err := range map[string]error{"server": serverErr, "client": clientErr} {
				if err == nil {
					t.Errorf("%s\n%s: no error", tc.reason, side)
					continue
				}
				for _, part := range tc.want {
					if !strings.Contains(err.Error(), part) {
						t.Errorf("%s\n%s: want %q in: %v", tc.reason, side, part, err)
					}
				}
				if tc.is != nil && !errors.Is(err, tc.is) {
					t.Errorf("%s\n%s: want %v in the chain of: %v", tc.reason, side, tc.is, err)
				}
			}
		})
	}
}

func TestServerNeedsItsPair(t *testing.T) {
	files := secret(t, nil, nil, newAuthority(t, "ca", nil).PEM())
	if _, err := Server(files, nil); err == nil || !strings.Contains(err.Error(), "CERT_FILE and KEY_FILE") {
		t.Errorf("a server with only a CA: %v", err)
	}
	if _, err := Server(Files{}, nil); err == nil || !strings.Contains(err.Error(), "needs Cert and Key") {
		t.Errorf("settings without names are called by their fields: %v", err)
	}
	if !(Files{CAName: "x"}).IsZero() || files.IsZero() {
		t.Error("IsZero looks at the paths alone")
	}
}

func TestExpiredOwnCertificateIsAWarning(t *testing.T) {
	ca := newAuthority(t, "ca", nil)
	for name, change := range map[string]func(*x509.Certificate){
		"expired": expired,
		"not yet": func(c *x509.Certificate) { c.NotBefore = c.NotAfter.Add(-1) },
	} {
		cert, key := ca.issue(t, 7, change)
		var log bytes.Buffer
		server := mustServer(t, secret(t, cert, key, nil), hclog.New(&hclog.LoggerOptions{Output: &log}))
		for range 3 {
			meet(t, mustClient(t, secret(t, nil, nil, ca.PEM()), "pluginzh", nil), server)
		}
		if n := strings.Count(log.String(), "not valid now"); n != 1 || !strings.Contains(log.String(), "[WARN]") {
			t.Errorf("%s: %d warnings:\n%s", name, n, log.String())
		}
	}
}
