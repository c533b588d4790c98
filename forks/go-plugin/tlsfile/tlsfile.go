// SPDX-License-Identifier: MPL-2.0

// Package tlsfile makes TLS configurations from files that may be replaced
// while they are in use, as a mounted kubernetes.io/tls Secret is when its
// certificate is renewed.
//
// The files are looked at when a handshake begins, by no goroutine and no
// watch, and read again when they are not what they were. Connections that
// exist keep what they were made with. Files that cannot be used (half
// written, not matching) leave the last good state in force and are logged
// once.
package tlsfile

import (
	"crypto/tls"
	"fmt"

	"github.com/hashicorp/go-hclog"
)

// Files names the PEM files of one side.
type Files struct {
	// Cert is the path of the certificate, followed by its intermediates, and
	// Key that of its private key. Both or neither are set.
	Cert, Key string
	// CA is the path of the certificates that vouch for the other side.
	CA string

	// CertName, KeyName and CAName are what errors and logs call the three,
	// for example by the environment variables that the paths come from.
	// Empty means "Cert", "Key" and "CA".
	CertName, KeyName, CAName string
}

// IsZero says that no file is named, which is: no TLS is wanted.
func (f Files) IsZero() bool { return f.Cert == "" && f.Key == "" && f.CA == "" }

// setting is one path and the name by which the user knows it.
type setting struct{ name, path string }

func (s setting) String() string { return fmt.Sprintf("%s (%s)", s.name, s.path) }

func (f Files) cert() setting { return setting{orDefault(f.CertName, "Cert"), f.Cert} }
func (f Files) key() setting  { return setting{orDefault(f.KeyName, "Key"), f.Key} }
func (f Files) ca() setting   { return setting{orDefault(f.CAName, "CA"), f.CA} }

func orDefault(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

// checkPair refuses half a key pair.
func (f Files) checkPair() error {
	cert, key := f.cert(), f.key()
	switch {
	case cert.path != "" && key.path == "":
		return fmt.Errorf("TLS: %s is set, but %s is missing", cert.name, key.name)
	case cert.path == "" && key.path != "":
		return fmt.Errorf("TLS: %s is set, but %s is missing", key.name, cert.name)
	}
	return nil
}

// Server returns the configuration of a listening side: TLS 1.2 or later, ALPN
// "h2". Cert and Key are required. With CA set, a client must present a
// certificate that one of the CA's vouches for; otherwise none is asked for.
//
// All files are read before Server returns. Its errors name the setting, the
// file and the fault. Files that cannot be used and were written within the last
// two seconds are read again for five seconds at most, since a pair may be caught
// while it is replaced.
func Server(files Files, logger hclog.Logger) (*tls.Config, error) {
	if err := files.checkPair(); err != nil {
		return nil, err
	}
	if files.Cert == "" {
		return nil, fmt.Errorf("TLS: a server needs %s and %s", files.cert().name, files.key().name)
	}
	current, err := newStore(files, logger)
	if err != nil {
		return nil, err
	}
	cfg := base()
	cfg.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := current.get()
		perClient := base()
		perClient.Certificates = []tls.Certificate{*now.pair}
		if now.authorities != nil {
			perClient.ClientAuth = tls.RequireAndVerifyClientCert
			perClient.ClientCAs = now.authorities
		}
		return perClient, nil
	}
	return cfg, nil
}

// Client returns the configuration of a dialling side: TLS 1.2 or later, ALPN
// "h2". The server's certificate must be for serverName, a host name or an IP
// address, and be vouched for by CA, or by the system's CAs when CA is empty.
// An empty serverName means the ServerName of the configuration in use, which
// a caller sets on a clone (and crypto/tls does not tell, if it is an IP address:
// plugin.Attach sees to that). Cert and Key, if set, are presented to a server
// that asks for a certificate.
//
// All files are read before Client returns, as by Server. Its errors name the
// setting, the file and the fault.
func Client(files Files, serverName string, logger hclog.Logger) (*tls.Config, error) {
	if err := files.checkPair(); err != nil {
		return nil, err
	}
	current, err := newStore(files, logger)
	if err != nil {
		return nil, err
	}
	cfg := base()
	cfg.ServerName = serverName
	if files.Cert != "" {
		// Whatever CAs the server names: if it does not accept this
		// certificate, its log is to say which one it got.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return current.get().pair, nil
		}
	}
	if files.CA != "" {
		// RootCAs is fixed for the life of a Config, and there is no callback
		// for it. So the verification that crypto/tls would do with it is
		// switched off and done in VerifyConnection, which runs in every
		// handshake and whose error ends it, against the CAs of the moment.
		cfg.InsecureSkipVerify = true
		cfg.VerifyConnection = func(state tls.ConnectionState) error {
			return verifyServer(state, serverName, current.get().authorities)
		}
	}
	return cfg, nil
}

func base() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"h2"},
		// A ticket would let a client in after the CA that vouched for it was
		// removed. Sessions are long, so there is little to save.
		SessionTicketsDisabled: true,
	}
}
