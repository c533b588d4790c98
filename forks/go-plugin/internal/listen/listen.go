// SPDX-License-Identifier: MPL-2.0

// Package listen opens the sockets of a plugin: unix sockets with the rights that
// the host asked for, and TCP ports of a range.
package listen

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"

	"github.com/hashicorp/go-plugin/internal/env"
)

// Local opens a listener for connections of this machine: a unix socket, or on
// Windows a port of [PortsFromEnv] on the loopback address.
func Local(sockets Sockets) (net.Listener, error) {
	if runtime.GOOS != "windows" {
		return sockets.listen()
	}
	ports, err := PortsFromEnv()
	if err != nil {
		return nil, err
	}
	return TCP(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ports)
}

// Ports are the TCP ports to try, both ends included. Port 0 is any free one.
type Ports struct{ Low, High int }

// PortsFromEnv reads PLUGIN_MIN_PORT and PLUGIN_MAX_PORT. An absent one is 0.
func PortsFromEnv() (Ports, error) {
	low, err := portFromEnv(env.MinPort)
	if err != nil {
		return Ports{}, err
	}
	high, err := portFromEnv(env.MaxPort)
	switch {
	case err != nil:
		return Ports{}, err
	case low > high && high == 0:
		return Ports{}, fmt.Errorf("%s is %d without a %s: set both, to the same port if it is to be that one", env.MinPort, low, env.MaxPort)
	case low > high:
		return Ports{}, fmt.Errorf("%s is %d, greater than %s, which is %d", env.MinPort, low, env.MaxPort, high)
	}
	return Ports{low, high}, nil
}

func portFromEnv(name string) (int, error) {
	value := strings.TrimSpace(os.Getenv(name))
	if value == "" {
		return 0, nil
	}
	port, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, want a port number from 0 to 65535", name, value)
	}
	return int(port), nil
}

// TCP opens the first free port of the range on the address. The unspecified
// address of IPv6 takes connections of both families.
func TCP(host netip.Addr, ports Ports) (net.Listener, error) {
	network := "tcp"
	if host.Is4() {
		network = "tcp4" // "tcp" would take 0.0.0.0 for every address, IPv6 included
	}
	var err error
	for port := ports.Low; port <= ports.High; port++ {
		var lis net.Listener
		lis, err = net.Listen(network, net.JoinHostPort(host.String(), strconv.Itoa(port)))
		if err == nil {
			return lis, nil
		}
	}
	return nil, fmt.Errorf("no port of %d to %d (%s, %s) can be bound on %s: %w",
		ports.Low, ports.High, env.MinPort, env.MaxPort, host, err)
}
