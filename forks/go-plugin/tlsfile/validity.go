// SPDX-License-Identifier: MPL-2.0

package tlsfile

import (
	"crypto/tls"
	"crypto/x509"
)

// FirstToEnd gives, of the certificate that cfg shows now and of those of its chain, the
// one that ends first. It is nil if cfg shows none, or needs to know the peer to choose
// one. cfg may be of either side, and need not be of this package.
func FirstToEnd(cfg *tls.Config) *x509.Certificate {
	var first *x509.Certificate
	for _, der := range shown(cfg) {
		c, err := x509.ParseCertificate(der)
		if err == nil && (first == nil || c.NotAfter.Before(first.NotAfter)) {
			first = c
		}
	}
	return first
}

// shown gives the chain that a peer would be shown.
func shown(cfg *tls.Config) (chain [][]byte) {
	// A callback that is not of this package may count on a real peer.
	defer func() {
		if recover() != nil {
			chain = nil
		}
	}()
	if cfg == nil {
		return nil
	}
	if get := cfg.GetConfigForClient; get != nil {
		if perClient, err := get(new(tls.ClientHelloInfo)); err == nil && perClient != nil {
			cfg = perClient
		}
	}
	var pair *tls.Certificate
	switch {
	case len(cfg.Certificates) > 0:
		pair = &cfg.Certificates[0]
	case cfg.GetClientCertificate != nil:
		pair, _ = cfg.GetClientCertificate(new(tls.CertificateRequestInfo))
	case cfg.GetCertificate != nil:
		pair, _ = cfg.GetCertificate(new(tls.ClientHelloInfo))
	}
	if pair == nil {
		return nil
	}
	return pair.Certificate
}
