// SPDX-License-Identifier: MPL-2.0

package child

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
	"time"

	"github.com/hashicorp/go-plugin/internal/env"
)

// certificateName is the host name in every one-time certificate. Peers verify it.
const certificateName = "localhost"

// Certificate is one side's identity for AutoMTLS. Each side makes one when it
// starts, hands the public half to the other and trusts nothing else.
type Certificate struct {
	// PEM is the public half, as the host sends it.
	PEM []byte

	pair tls.Certificate
}

// NewCertificate makes a self-signed certificate that may stand on either side of
// a TLS connection.
func NewCertificate() (*Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make one-time key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: certificateName},
		DNSNames: []string{certificateName},
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
	return &Certificate{
		PEM:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pair: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
	}, nil
}

// Line is the public half as a child prints it.
func (c *Certificate) Line() string {
	return base64.RawStdEncoding.EncodeToString(c.pair.Certificate[0])
}

// ClientConfig is the host's configuration, given what the child printed.
func (c *Certificate) ClientConfig(line string) (*tls.Config, error) {
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

// ServerConfig is the child's configuration, given the host's certificate.
func (c *Certificate) ServerConfig(hostPEM string) (*tls.Config, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(hostPEM)) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", env.ClientCert)
	}
	return c.config(pool), nil
}

// config serves both directions: brokered connections make the host a server
// and the child a client.
func (c *Certificate) config(peer *x509.CertPool) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{c.pair},
		RootCAs:      peer,
		ClientCAs:    peer,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ServerName:   certificateName,
		MinVersion:   tls.VersionTLS12,
	}
}
