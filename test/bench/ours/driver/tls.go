// SPDX-License-Identifier: MPL-2.0

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// pair is an authority and what it vouches for: a plugin, in files, and a host.
type pair struct {
	ca, cert, key string
	host          *tls.Config
}

// env is the plugin's part.
func (p *pair) env() []string {
	return []string{"PLUGIN_TLS_CERT_FILE=" + p.cert, "PLUGIN_TLS_KEY_FILE=" + p.key, "PLUGIN_TLS_CLIENT_CA_FILE=" + p.ca}
}

func makePair(dir string) (*pair, error) {
	ca, err := issue(nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	if err != nil {
		return nil, err
	}
	plugin, err := issue(ca, &x509.Certificate{
		Subject: pkix.Name{CommonName: "plugin"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return nil, err
	}
	host, err := issue(ca, &x509.Certificate{
		Subject: pkix.Name{CommonName: "host"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(plugin.key)
	if err != nil {
		return nil, err
	}
	p := &pair{ca: filepath.Join(dir, "ca.crt"), cert: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key")}
	err = errors.Join(
		writePEM(p.ca, "CERTIFICATE", ca.cert.Raw), writePEM(p.cert, "CERTIFICATE", plugin.cert.Raw), writePEM(p.key, "PRIVATE KEY", key))
	p.host = &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: x509.NewCertPool(),
		Certificates: []tls.Certificate{{Certificate: [][]byte{host.cert.Raw}, PrivateKey: host.key}},
	}
	p.host.RootCAs.AddCert(ca.cert)
	return p, err
}

type identity struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue completes and signs a certificate; without an issuer it signs itself.
func issue(by *identity, template *x509.Certificate) (*identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	if by == nil {
		by = &identity{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &key.PublicKey, by.key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return &identity{cert, key}, err
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
