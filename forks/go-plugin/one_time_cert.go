// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"github.com/hashicorp/go-plugin/internal/env"
	"math/big"
	"time"
)

// oneTimeName is the host name in every one-time certificate. Peers verify it.
const oneTimeName = "localhost"

// oneTimeCertificate is one side's identity for AutoMTLS. Each side makes one
// when it starts, hands the public half to the other and trusts nothing else.
type oneTimeCertificate struct {
	pair tls.Certificate
	pem  []byte // the public half, as the host sends it
}

// newOneTimeCertificate makes a self-signed certificate that may stand on
// either side of a TLS connection.
func newOneTimeCertificate() (*oneTimeCertificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make one-time key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make one-time serial number: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: oneTimeName},
		DNSNames:     []string{oneTimeName},
		// Clocks of one machine agree; containers with faked time may not.
		NotBefore:             now.Add(-time.Minute),
		NotAfter:              now.AddDate(30, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // it signs itself
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make one-time certificate: %w", err)
	}
	return &oneTimeCertificate{
		pair: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
	}, nil
}

// line is the public half as a child prints it.
func (c *oneTimeCertificate) line() string {
	return base64.RawStdEncoding.EncodeToString(c.pair.Certificate[0])
}

// clientConfig is the host's configuration, given what the child printed.
func (c *oneTimeCertificate) clientConfig(line string) (*tls.Config, error) {
	if line == "" {
		return nil, errors.New("AutoMTLS is on, but the plugin sent no certificate: " +
			"it does not support AutoMTLS, or has a TLS configuration of its own")
	}
	der, err := base64.RawStdEncoding.DecodeString(line)
	if err != nil {
		return nil, fmt.Errorf("error parsing server cert: %w", err)
	}
	peer, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("error parsing server cert: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(peer)
	return c.config(pool), nil
}

// serverConfig is the child's configuration, given the host's certificate.
func (c *oneTimeCertificate) serverConfig(hostPEM string) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(hostPEM)) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", env.ClientCert)
	}
	return c.config(pool), nil
}

// config serves both directions: brokered connections make the host a server
// and the child a client.
func (c *oneTimeCertificate) config(peer *x509.CertPool) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{c.pair},
		RootCAs:      peer,
		ClientCAs:    peer,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ServerName:   oneTimeName,
		MinVersion:   tls.VersionTLS12,
	}
}
