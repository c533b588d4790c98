// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/printable"
)

// Pin says which plugin it must be that answers at the target. An empty field takes any.
type Pin struct {
	// Certificate is the SHA-256 of the certificate that the plugin shows, in
	// hexadecimal digits, with or without colons.
	Certificate string `yaml:"certificate"`
	// Name is the plugin's own name.
	Name string `yaml:"name"`
	// Module and Revision are what the plugin says that it was built from: the Go module,
	// and the commit or the beginning of it.
	Module   string `yaml:"module"`
	Revision string `yaml:"revision"`
}

func (p *Pin) validate() error {
	if p.Certificate != "" {
		if _, err := p.fingerprint(); err != nil {
			return err
		}
	}
	if p.Revision != "" && len(p.Revision) < leastRevision {
		return fmt.Errorf("pin.revision %q: want %d characters of it or more", p.Revision, leastRevision)
	}
	return nil
}

// leastRevision is how much of a revision must be given for it to mean one commit.
const leastRevision = 7

// fingerprint gives the certificate's as bytes.
func (p *Pin) fingerprint() ([]byte, error) {
	text := strings.ReplaceAll(strings.TrimPrefix(strings.ToLower(p.Certificate), "sha256:"), ":", "")
	sum, err := hex.DecodeString(text)
	if err != nil || len(sum) != 32 {
		return nil, fmt.Errorf("pin.certificate %q: want a SHA-256 of 64 hexadecimal digits", p.Certificate)
	}
	return sum, nil
}

// admit refuses a plugin that is another one. certificate and peer may be nil.
func (p *Pin) admit(peer *plugin.PeerInfo, certificate *x509.Certificate) error {
	if p.Certificate != "" {
		want, err := p.fingerprint()
		if err != nil {
			return err
		}
		if certificate == nil {
			return errors.New("pin.certificate: the connection is plain TCP, which shows no certificate; set tls.ca, or HOST_TLS_CA_FILE")
		}
		if got := sha256.Sum256(certificate.Raw); !bytes.Equal(got[:], want) {
			return fmt.Errorf("pin.certificate: the plugin shows the certificate %x, not %x", got, want)
		}
	}
	if peer == nil {
		peer = new(plugin.PeerInfo)
	}
	build := peer.Build
	if build == nil {
		build = new(plugin.PeerBuild)
	}
	for _, pinned := range []struct {
		field, want, got string
		same             func(got, want string) bool
	}{
		{"name", p.Name, peer.Name, func(got, want string) bool { return got == want }},
		{"module", p.Module, build.Module, func(got, want string) bool { return got == want }},
		{"revision", p.Revision, build.Revision, strings.HasPrefix},
	} {
		if pinned.want != "" && pinned.got == "" {
			return fmt.Errorf("pin.%s: the plugin does not say its own, and %q is wanted", pinned.field, pinned.want)
		}
		if pinned.want != "" && !pinned.same(pinned.got, pinned.want) {
			return fmt.Errorf("pin.%s: the plugin says %q, not %q", pinned.field, printable.Line(pinned.got), pinned.want)
		}
	}
	if p.Revision != "" && build.Modified {
		return fmt.Errorf("pin.revision: the plugin was built from %q with changes", printable.Line(build.Revision))
	}
	return nil
}
