// SPDX-License-Identifier: MPL-2.0

package tlsfile

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// material is what the files held at one moment. It is never changed.
type material struct {
	pair        *tls.Certificate // nil without Cert
	authorities *x509.CertPool   // nil without CA
	expiry      sync.Once        // one warning for one certificate
}

// same says whether the two hold the same certificates. The key need not be
// compared: it matches the certificate.
func (m *material) same(other *material) bool {
	if m.pair != nil && !slices.EqualFunc(m.pair.Certificate, other.pair.Certificate, bytes.Equal) {
		return false
	}
	return m.authorities == nil || m.authorities.Equal(other.authorities)
}

// load reads all files. A problem with any of them makes all unusable, so that
// a new certificate is never combined with an old CA by accident.
func load(files Files) (*material, error) {
	var m material
	var err error
	if files.Cert != "" {
		if m.pair, err = loadPair(files.cert(), files.key()); err != nil {
			return nil, err
		}
	}
	if files.CA != "" {
		if m.authorities, err = loadAuthorities(files.ca()); err != nil {
			return nil, err
		}
	}
	return &m, nil
}

func loadPair(cert, key setting) (*tls.Certificate, error) {
	certPEM, err := read(cert)
	if err != nil {
		return nil, err
	}
	keyPEM, err := read(key)
	if err != nil {
		return nil, err
	}
	isCert := func(kind string) bool { return kind == "CERTIFICATE" }
	isKey := func(kind string) bool { return strings.HasSuffix(kind, "PRIVATE KEY") }
	if err := holds(cert, certPEM, "certificate", isCert); err != nil {
		return nil, err
	}
	if err := holds(key, keyPEM, "private key", isKey); err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("TLS: use %s with %s: %w", cert, key, err)
	}
	return &pair, nil
}

func loadAuthorities(ca setting) (*x509.CertPool, error) {
	text, err := read(ca)
	if err != nil {
		return nil, err
	}
	pool, count := x509.NewCertPool(), 0
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		count++
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("TLS: read %s: certificate %d: %w", ca, count, err)
		}
		pool.AddCert(cert)
	}
	if count == 0 {
		return nil, holds(ca, text, "certificate", func(string) bool { return false })
	}
	return pool, nil
}

func read(s setting) ([]byte, error) {
	text, err := os.ReadFile(s.path)
	if err == nil {
		return text, nil
	}
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err // the path is in the message already
	}
	return nil, fmt.Errorf("TLS: read %s: %w", s, err)
}

// holds checks that text has a PEM block of the wanted kind, and says what it
// has instead.
func holds(s setting, text []byte, what string, wanted func(string) bool) error {
	var found []string
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if wanted(block.Type) {
			return nil
		}
		found = append(found, block.Type)
	}
	switch {
	case len(text) == 0:
		return fmt.Errorf("TLS: read %s: the file is empty, want a %s in PEM", s, what)
	case len(found) == 0:
		return fmt.Errorf("TLS: read %s: the file is not PEM, want a %s", s, what)
	default:
		return fmt.Errorf("TLS: read %s: there is no %s in it, only %s", s, what, strings.Join(found, ", "))
	}
}

// warnExpiry logs once when the own certificate is out of its time. It is
// presented all the same: the clock may be wrong, and the peer decides.
func (m *material) warnExpiry(logger hclog.Logger, cert setting, now time.Time) {
	if m.pair == nil || m.pair.Leaf == nil {
		return
	}
	leaf := m.pair.Leaf
	if now.Before(leaf.NotAfter) && !now.Before(leaf.NotBefore) {
		return
	}
	m.expiry.Do(func() {
		logger.Warn("the own TLS certificate is not valid now; peers will refuse it", "setting", cert.name, "file", cert.path,
			"not_before", leaf.NotBefore, "not_after", leaf.NotAfter)
	})
}
