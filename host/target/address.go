// SPDX-License-Identifier: MPL-2.0

package target

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"unicode"
)

// SocketScheme begins the address of a unix socket, whose path follows: unix:///path.
const SocketScheme = "unix://"

// socketPathBytes is how long the path of a unix socket may be: the system has 108 bytes
// for it, and a zero byte at the end (unix(7)).
const socketPathBytes = 107

// NetAddr is the address of a Network endpoint as package net has them. A host in it may
// be a name: whoever dials looks it up.
func NetAddr(address string) net.Addr {
	if path, ok := strings.CutPrefix(address, SocketScheme); ok {
		return &net.UnixAddr{Net: "unix", Name: path}
	}
	return hostPort(address)
}

// hostPort is a TCP address that nobody has looked up.
type hostPort string

func (hostPort) Network() string  { return "tcp" }
func (a hostPort) String() string { return string(a) }

// ValidateAddress says whether address is one of a Network endpoint: host:port, or
// unix:///path.
func ValidateAddress(address string) error {
	path, ok := strings.CutPrefix(address, SocketScheme)
	if !ok {
		return ValidateHostPort(address)
	}
	if err := ValidateSocketPath(path); err != nil {
		return fmt.Errorf("address %q: %w", address, err)
	}
	return nil
}

// ValidateSocketPath says whether a unix socket can have that path. It looks for
// nothing.
func ValidateSocketPath(path string) error {
	switch {
	case strings.HasPrefix(path, "@") || strings.HasPrefix(path, "\x00"):
		return errors.New("abstract sockets have no permissions, so that anybody may pose as the plugin: write unix:///PATH, the path of a file")
	case !filepath.IsAbs(path):
		return errors.New("the path of a socket must be absolute: write unix:///PATH, with three slashes")
	case len(path) > socketPathBytes:
		return fmt.Errorf("the path has %d bytes, and that of a socket may have %d: use a shorter directory", len(path), socketPathBytes)
	case strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) || r == ',' || r == ';' }):
		return errors.New("the path has a character that an address cannot hold: a comma, a semicolon, or one that cannot be printed")
	case filepath.Clean(path) != path:
		return fmt.Errorf("the path is not as short as it can be: write unix://%s", filepath.Clean(path))
	}
	return nil
}
