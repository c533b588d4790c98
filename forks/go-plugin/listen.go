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
	"sync"
)

// listenLocal opens the socket of a child, or of a brokered connection: a unix
// socket, and TCP on the loopback address where there are none.
func listenLocal(cfg UnixSocketConfig) (net.Listener, error) {
	if runtime.GOOS == "windows" {
		return listenTCPRange(netip.AddrFrom4([4]byte{127, 0, 0, 1}))
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

// listenTCPRange opens the first free port of PLUGIN_MIN_PORT..PLUGIN_MAX_PORT
// on the address.
func listenTCPRange(host netip.Addr) (net.Listener, error) {
	minPort, err := portFromEnv(envMinPort)
	if err != nil {
		return nil, err
	}
	maxPort, err := portFromEnv(envMaxPort)
	if err != nil {
		return nil, err
	}
	if minPort > maxPort {
		return nil, fmt.Errorf("%s is %d, greater than %s, which is %d", envMinPort, minPort, envMaxPort, maxPort)
	}
	network := "tcp"
	if host.Is4() {
		network = "tcp4" // "tcp" would take 0.0.0.0 for every address, IPv6 included
	}
	for port := minPort; port <= maxPort; port++ {
		var lis net.Listener
		lis, err = net.Listen(network, net.JoinHostPort(host.String(), strconv.Itoa(port)))
		if err == nil {
			return lis, nil
		}
	}
	return nil, fmt.Errorf("no port of %d to %d (%s, %s) can be bound on %s: %w",
		minPort, maxPort, envMinPort, envMaxPort, host, err)
}

// portFromEnv reads a TCP port; an absent one is 0, any free port.
func portFromEnv(name string) (int, error) {
	value := os.Getenv(name)
	if value == "" {
		return 0, nil
	}
	port, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, want a port number from 0 to 65535", name, value)
	}
	return int(port), nil
}
