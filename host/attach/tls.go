// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/printable"
	"github.com/hashicorp/go-plugin/tlsfile"

	"github.com/reattach/reattach/host/target"
)

// tlsConfigs holds a TLS configuration for each server name. A configuration
// re-reads its files by itself, and keeps the last good ones while they are
// being replaced, so that each is made only once.
type tlsConfigs struct {
	files  tlsfile.Files
	plain  []string
	logger hclog.Logger

	mu     sync.Mutex
	byName map[string]*tls.Config
}

// newTLSConfigs returns nil when no files are named.
func newTLSConfigs(files tlsfile.Files, plain []string, logger hclog.Logger) (*tlsConfigs, error) {
	files.CertName = cmp.Or(files.CertName, "option TLS.Cert")
	files.KeyName = cmp.Or(files.KeyName, "option TLS.Key")
	files.CAName = cmp.Or(files.CAName, "option TLS.CA")
	if files.IsZero() {
		return nil, nil
	}
	c := &tlsConfigs{files: files, plain: plain, logger: logger, byName: make(map[string]*tls.Config)}
	// Whatever is wrong with the files is found now.
	_, err := tlsfile.Client(files, "", logger)
	return c, err
}

// forEndpoint gives the configuration for one session with e, which notes who
// the plugin was; nil is plain TCP.
func (c *tlsConfigs) forEndpoint(e target.Endpoint, who *identity) (*tls.Config, error) {
	if c == nil || slices.Contains(c.plain, e.Plugin) {
		return nil, nil
	}
	shared, err := c.named(serverName(e))
	if err != nil {
		return nil, err
	}
	config := shared.Clone()
	verify := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if verify != nil {
			if err := verify(state); err != nil {
				return err
			}
		}
		who.set(state.PeerCertificates)
		return nil
	}
	return config, nil
}

func (c *tlsConfigs) named(name string) (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if config := c.byName[name]; config != nil {
		return config, nil
	}
	config, err := tlsfile.Client(c.files, name, c.logger)
	if err != nil {
		return nil, err
	}
	c.byName[name] = config
	return config, nil
}

// serverName is what the plugin's certificate must be for.
func serverName(e target.Endpoint) string { return cmp.Or(e.ServerName, e.Plugin) }

// hint says what to look at when one side spoke TLS and the other did not, or
// the certificate is somebody else's.
func (c *tlsConfigs) hint(e target.Endpoint, config *tls.Config, err error) error {
	if config == nil {
		return err // A plugin that wants TLS says so itself, in an alert.
	}
	if saysNoTLS(err) {
		return fmt.Errorf("%w: what listens there does not speak TLS, which this host requires since %s is set; "+
			"give the plugin a certificate, or allow plain TCP to %q by name", err, c.because(), e.Plugin)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("%w: the certificate must be for %q, the plugin's name; "+
			"for another one set the endpoint's server name", err, serverName(e))
	}
	return err
}

// saysNoTLS recognizes a peer without TLS: it answers with something else, or,
// if it is a plugin of ours, with the alert for it.
func saysNoTLS(err error) bool {
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error" && strings.Contains(op.Err.Error(), "handshake failure")
}

// because names the setting that switched TLS on.
func (c *tlsConfigs) because() string {
	if c.files.CA != "" {
		return c.files.CAName
	}
	return c.files.CertName
}

// identity is whose certificate was verified. One handshake writes it before
// anybody reads it.
type identity struct{ leaf *x509.Certificate }

func (i *identity) set(chain []*x509.Certificate) {
	if len(chain) > 0 {
		i.leaf = chain[0]
	}
}

// name is the first name in the certificate, for people.
func (i *identity) name() string {
	if i.leaf == nil {
		return ""
	}
	return printable.Clip(firstName(i.leaf), printable.MaxText)
}

func firstName(leaf *x509.Certificate) string {
	switch {
	case len(leaf.DNSNames) > 0:
		return leaf.DNSNames[0]
	case len(leaf.URIs) > 0:
		return leaf.URIs[0].String()
	case len(leaf.IPAddresses) > 0:
		return leaf.IPAddresses[0].String()
	}
	return leaf.Subject.String()
}
