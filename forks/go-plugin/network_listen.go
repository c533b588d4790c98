// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"

	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/listen"
)

// noWords are the values of PLUGIN_HOST that mean no to whoever wrote them.
// Network mode is on when the variable is set at all, so they cannot turn it off.
var noWords = []string{"0", "f", "false", "n", "no", "none", "off", "disable", "disabled"}

// bindHosts are the addresses that PLUGIN_HOST asks for, the best first: the
// address that it holds, the loopback addresses for "localhost", and every
// address, of IPv6 and IPv4 in one socket, for any other value. The second is
// for a machine that lacks the first's family.
func bindHosts(value string) ([]netip.Addr, error) {
	value = strings.TrimSpace(value)
	word := strings.ToLower(strings.TrimSuffix(value, "."))
	switch {
	case slices.Contains(noWords, word):
		return nil, fmt.Errorf("%s is %q, and any value turns network mode on: unset it to serve as a child, "+
			"or set it to the IP address to bind, or to true for all addresses", env.Host, value)
	case word == "localhost":
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	addr, err := netip.ParseAddr(unbracketed(value))
	switch {
	case err == nil:
		return []netip.Addr{addr.Unmap()}, nil
	case meantAsAddress(value):
		return nil, fmt.Errorf("%s is %q, which is no IP address: want one such as 127.0.0.1 or ::1, without a port "+
			"(%s and %s say that), or true for all addresses", env.Host, value, env.MinPort, env.MaxPort)
	}
	return []netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()}, nil
}

// unbracketed takes an address out of the brackets that URLs put it in.
func unbracketed(value string) string {
	if inner, ok := strings.CutPrefix(value, "["); ok {
		if inner, ok = strings.CutSuffix(inner, "]"); ok {
			return inner
		}
	}
	return value
}

// meantAsAddress reports whether a value that is no address was meant as one:
// names of hosts have no colon, and do not consist of digits and dots. Taking it
// for a word would open every address to all.
func meantAsAddress(value string) bool {
	return strings.Contains(value, ":") ||
		strings.Contains(value, ".") && strings.Trim(value, "0123456789./") == ""
}

// listenNetwork opens the socket of network mode: PLUGIN_HOST says on which
// address, PLUGIN_MIN_PORT and PLUGIN_MAX_PORT on which port.
func listenNetwork(host string) (net.Listener, error) {
	ports, err := listen.PortsFromEnv()
	if err != nil {
		return nil, err
	}
	if ports.Low == 0 && ports.High != 0 {
		return nil, fmt.Errorf("%s is %d without a %s: set both, to the same port if it is to be that one", env.MaxPort, ports.High, env.MinPort)
	}
	hosts, err := bindHosts(host)
	if err != nil {
		return nil, err
	}
	var failed error
	for _, addr := range hosts {
		lis, err := listen.TCP(addr, ports)
		if err == nil {
			return lis, nil
		}
		failed = errors.Join(failed, err)
		if !lacksFamily(err) {
			break // the port is taken, say; the other family would not help
		}
	}
	return nil, failed
}

// lacksFamily reports whether a socket could not be bound because this machine
// does not have addresses of that family, or has them turned off.
func lacksFamily(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) ||
		errors.Is(err, syscall.EPROTONOSUPPORT)
}

// announced is the address that the plugin's line names for a socket. Hosts that
// know nothing of IPv6 read 0.0.0.0 for every address, whatever the socket is.
func announced(host string, bound net.Addr) net.Addr {
	tcp, ok := bound.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return bound
	}
	if addr, err := netip.ParseAddr(unbracketed(strings.TrimSpace(host))); err == nil && addr.Is6() {
		return bound // asked for in so many words
	}
	return &net.TCPAddr{IP: net.IPv4zero, Port: tcp.Port}
}
