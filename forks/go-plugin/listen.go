// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
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

// listenUnix opens a unix socket under a name that no other process has. The
// listener's Close removes the file.
func listenUnix(cfg UnixSocketConfig) (net.Listener, error) {
	// A directory of its own makes the name unique without the gap between
	// choosing a free name and binding it.
	dir, err := os.MkdirTemp(cfg.socketDir, "plugin")
	if err != nil {
		return nil, fmt.Errorf("create directory for plugin socket: %w", err)
	}
	path := filepath.Join(dir, "s")
	lis, err := net.Listen("unix", path)
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, fmt.Errorf("listen on plugin socket: %w", err)
	}
	if cfg.Group != "" {
		err = errors.Join(shareWithGroup(dir, cfg.Group, 0o770), shareWithGroup(path, cfg.Group, 0o660))
		if err != nil {
			_ = lis.Close()
			_ = os.RemoveAll(dir)
			return nil, err
		}
	}
	return &socketListener{Listener: lis, dir: dir}, nil
}

// socketListener removes the directory of its socket when it is closed.
type socketListener struct {
	net.Listener
	dir   string
	close sync.Once
	err   error
}

func (l *socketListener) Close() error {
	l.close.Do(func() {
		l.err = errors.Join(l.Listener.Close(), os.RemoveAll(l.dir))
	})
	return l.err
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
