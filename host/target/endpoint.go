// SPDX-License-Identifier: MPL-2.0

// Package target holds the nouns that discovery, fleet and balancer share:
// where the instances of a plugin can be reached. It depends on the standard
// library alone and does no I/O.
package target

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// Endpoint is one place where an instance of a plugin can be reached. It is a
// plain comparable value: two endpoints are the same if == says so.
type Endpoint struct {
	// ID names the place. It is unique in one whole set and stays the same
	// when the instance behind the place is replaced. See MakeID.
	ID string
	// Plugin is the name of the plugin that this is an instance of.
	Plugin string
	// Placement says how to reach it.
	Placement Placement
	// Address is host:port for Network (the host may be a name, an IPv4
	// address or an IPv6 address in brackets) or unix:///path for a socket of
	// this machine, and an absolute file path for Child and InProcess.
	Address string
	// Fingerprint changes when another instance stands behind the same ID:
	// "sha256:" and the hexadecimal digest of a file, or a pod's UID. It is
	// empty if the source cannot tell.
	Fingerprint string
	// ServerName is the name that the TLS certificate must carry. Empty
	// means the plugin's name.
	ServerName string
	// Draining is set when the instance is about to leave: it gets no new
	// calls, and those in flight may finish.
	Draining bool
	// Zone and Node say where it runs, if the source knows.
	Zone, Node string
	// ForZones and ForNodes are comma lists of the zones and nodes that whoever manages
	// the endpoints means it for. Empty says nothing.
	ForZones, ForNodes string
	// Source is the name of the source that found it. The discovery Manager
	// fills it in.
	Source string
}

// MakeID gives the ID that all sources use: PLUGIN@ADDRESS. As it holds
// nothing of the source, two sources that found the same place are noticed.
func MakeID(plugin, address string) string {
	return plugin + "@" + address
}

// SameInstance reports whether a session with e serves o as well: the same
// instance, reached and verified in the same way. Draining and the hints may
// differ.
func (e Endpoint) SameInstance(o Endpoint) bool {
	return e.ID == o.ID && e.Plugin == o.Plugin && e.Placement == o.Placement &&
		e.Address == o.Address && e.Fingerprint == o.Fingerprint && e.ServerName == o.ServerName
}

// Validate says what is wrong with e, naming the endpoint and the field.
func (e Endpoint) Validate() error {
	if e.ID == "" {
		return fmt.Errorf("endpoint of plugin %q at %q: ID is empty", e.Plugin, e.Address)
	}
	err := errors.Join(ValidateName(e.Plugin), e.validateAddress())
	if err != nil {
		return fmt.Errorf("endpoint %q: %w", e.ID, err)
	}
	return nil
}

func (e Endpoint) validateAddress() error {
	switch e.Placement {
	case Network:
		return ValidateAddress(e.Address)
	case Child, InProcess:
		if !filepath.IsAbs(e.Address) {
			return fmt.Errorf("address %q: a file needs an absolute path", e.Address)
		}
		return nil
	}
	return fmt.Errorf("placement %d is unknown", uint8(e.Placement))
}

// ValidateName says whether name can be a plugin's name. A name is part of
// endpoint IDs, of URL paths and of comma lists, so that space, control
// characters and any of / , = @ are refused.
func ValidateName(name string) error {
	if name == "" {
		return errors.New("plugin name is empty")
	}
	for _, r := range name {
		if strings.ContainsRune("/,=@", r) || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return fmt.Errorf("plugin name %q: character %q is not allowed", name, r)
		}
	}
	return nil
}

// ValidateHostPort says whether address is host:port with a host and with a
// number from 1 to 65535 for the port. It looks nothing up.
func ValidateHostPort(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address %q is not host:port: %w", address, reason(err))
	}
	if host == "" {
		return fmt.Errorf("address %q: the host is missing", address)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("address %q: port %q is not a number from 1 to 65535", address, port)
	}
	return nil
}

// reason strips the address that net.AddrError repeats.
func reason(err error) error {
	if ae, ok := errors.AsType[*net.AddrError](err); ok {
		return errors.New(ae.Err)
	}
	return err
}
