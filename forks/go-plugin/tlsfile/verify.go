// SPDX-License-Identifier: MPL-2.0

package tlsfile

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
)

// verifyServer does what crypto/tls does for a client that does not set
// InsecureSkipVerify: the chain, through the intermediates that were sent, to
// one of authorities; validity in time; use as a server; the name.
func verifyServer(state tls.ConnectionState, serverName string, authorities *x509.CertPool) error {
	if serverName == "" {
		serverName = state.ServerName
	}
	if serverName == "" {
		return errors.New("TLS: there is no server name to verify the server's certificate against")
	}
	if len(state.PeerCertificates) == 0 {
		return errors.New("TLS: the server presented no certificate")
	}
	intermediates := x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		intermediates.AddCert(cert)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName:       serverName,
		Roots:         authorities,
		Intermediates: intermediates,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}
