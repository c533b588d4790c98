// SPDX-License-Identifier: MPL-2.0

package listen

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"

	"github.com/hashicorp/go-plugin/internal/env"
)

// Network opens the socket of network mode: PLUGIN_HOST says on which address,
// PLUGIN_MIN_PORT and PLUGIN_MAX_PORT on which port, or PLUGIN_HOST names a unix
// socket. announced is the address for the
// plugin's line. Hosts that know nothing of IPv6 read 0.0.0.0 there for every address,
// whatever the socket is, unless IPv6 was asked for in so many words.
func Network() (lis net.Listener, announced net.Addr, err error) {
	if value := strings.TrimSpace(os.Getenv(env.Host)); IsUnix(value) {
		if lis, err = Unix(env.Host, value); err != nil {
			return nil, nil, err
		}
		return lis, lis.Addr(), nil
	}
	ports, err := PortsFromEnv()
	if err != nil {
		return nil, nil, err
	}
	if ports.Low == 0 && ports.High != 0 {
		return nil, nil, fmt.Errorf("%s is %d without a %s: set both, to the same port if it is to be that one", env.MaxPort, ports.High, env.MinPort)
	}
	addrs, err := networkAddrs(os.Getenv(env.Host))
	if err != nil {
		return nil, nil, err
	}
	var failed error
	for _, addr := range addrs {
		lis, err := TCP(addr, ports)
		if err == nil {
			announced := lis.Addr()
			if tcp, ok := announced.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() && len(addrs) > 1 {
				announced = &net.TCPAddr{IP: net.IPv4zero, Port: tcp.Port}
			}
			return lis, announced, nil
		}
		failed = errors.Join(failed, err)
		if !lacksFamily(err) {
			break // the port is taken, say; the other family would not help
		}
	}
	return nil, nil, failed
}

// networkAddrs are the addresses that PLUGIN_HOST asks for, the best first: the
// address that it holds, the loopback addresses for "localhost", and every
// address, of IPv6 and IPv4 in one socket, for any other value. The second is
// for a machine that lacks the first's family.
func networkAddrs(value string) ([]netip.Addr, error) {
	value = strings.TrimSpace(value)
	switch strings.ToLower(strings.TrimSuffix(value, ".")) {
	// Network mode is on when the variable is set at all, so that these cannot turn it
	// off.
	case "0", "f", "false", "n", "no", "none", "off", "disable", "disabled":
		return nil, fmt.Errorf("%s is %q, and any value turns network mode on: unset it to serve as a child, "+
			"or set it to the IP address to bind, or to true for all addresses", env.Host, value)
	case "localhost":
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	bare := value
	if strings.HasPrefix(value, "[") && strings.HasSuffix(value, "]") { // as in URLs
		bare = value[1 : len(value)-1]
	}
	addr, err := netip.ParseAddr(bare)
	switch {
	case err == nil:
		return []netip.Addr{addr.Unmap()}, nil
	// Names of hosts have no colon, and do not consist of digits and dots. To take that
	// for a word would open every address to all.
	case strings.Contains(value, ":") || strings.Contains(value, ".") && strings.Trim(value, "0123456789./") == "":
		return nil, fmt.Errorf("%s is %q, which is no IP address: want one such as 127.0.0.1 or ::1, without a port "+
			"(%s and %s say that), or true for all addresses", env.Host, value, env.MinPort, env.MaxPort)
	}
	return []netip.Addr{netip.IPv6Unspecified(), netip.IPv4Unspecified()}, nil
}

// lacksFamily reports whether a socket could not be bound because this machine
// does not have addresses of that family, or has them turned off.
func lacksFamily(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) ||
		errors.Is(err, syscall.EPROTONOSUPPORT)
}
