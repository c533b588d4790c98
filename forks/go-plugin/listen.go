// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// listenLocal opens the socket of a child, or of a brokered connection: a unix
// socket, and TCP on the loopback address where there are none.
func listenLocal(cfg UnixSocketConfig) (net.Listener, error) {
	if runtime.GOOS == "windows" {
		ports, err := portsFromEnv()
		if err != nil {
			return nil, err
		}
		return listenTCP(netip.AddrFrom4([4]byte{127, 0, 0, 1}), ports)
	}
	return listenUnix(cfg)
}

// nameAttempts is how many names for a socket are tried.
const nameAttempts = 100

// listenUnix opens a unix socket under a name that nothing else has, directly in
// the configured directory. The listener's Close removes the file.
func listenUnix(cfg UnixSocketConfig) (net.Listener, error) {
	dir := cfg.socketDir
	if dir == "" {
		dir = os.TempDir()
	}
	for range nameAttempts {
		path := filepath.Join(dir, fmt.Sprintf("plugin%d", rand.Uint32()))
		lis, err := net.Listen("unix", path)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue // Binding takes no name that exists.
		}
		if err != nil {
			return nil, fmt.Errorf("listen on plugin socket: %w", err)
		}
		if err := allow(path, cfg.Group); err != nil {
			return nil, errors.Join(err, lis.Close())
		}
		return lis, nil
	}
	return nil, fmt.Errorf("listen on plugin socket: %d names in %s are taken", nameAttempts, dir)
}

// allow lets the owner use the socket, and the group if there is one.
func allow(path, group string) error {
	if group != "" {
		return shareWithGroup(path, group, 0o660)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("keep plugin socket private: %w", err)
	}
	return nil
}

// portRange are the ports to try, both ends included. Port 0 is any free one.
type portRange struct{ low, high int }

// portsFromEnv reads PLUGIN_MIN_PORT and PLUGIN_MAX_PORT.
func portsFromEnv() (portRange, error) {
	low, err := portFromEnv(envMinPort)
	if err != nil {
		return portRange{}, err
	}
	high, err := portFromEnv(envMaxPort)
	if err != nil {
		return portRange{}, err
	}
	switch {
	case low > high && high == 0:
		return portRange{}, fmt.Errorf("%s is %d without a %s: set both, to the same port if it is to be that one", envMinPort, low, envMaxPort)
	case low > high:
		return portRange{}, fmt.Errorf("%s is %d, greater than %s, which is %d", envMinPort, low, envMaxPort, high)
	}
	return portRange{low, high}, nil
}

// listenTCP opens the first free port of the range on the address. The
// unspecified address of IPv6 takes connections of both families.
func listenTCP(host netip.Addr, ports portRange) (net.Listener, error) {
	network := "tcp"
	if host.Is4() {
		network = "tcp4" // "tcp" would take 0.0.0.0 for every address, IPv6 included
	}
	var err error
	for port := ports.low; port <= ports.high; port++ {
		var lis net.Listener
		lis, err = net.Listen(network, net.JoinHostPort(host.String(), strconv.Itoa(port)))
		if err == nil {
			return lis, nil
		}
	}
	return nil, fmt.Errorf("no port of %d to %d (%s, %s) can be bound on %s: %w",
		ports.low, ports.high, envMinPort, envMaxPort, host, err)
}

// portFromEnv reads a TCP port; an absent one is 0, any free port.
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
