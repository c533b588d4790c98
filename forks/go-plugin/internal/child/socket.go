// SPDX-License-Identifier: MPL-2.0

package child

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Socket is where a plugin of this machine listens.
type Socket struct {
	addr   net.Addr
	dialer net.Dialer

	mu     sync.RWMutex // held while handle is used
	handle *os.File     // of a socket that was taken out of the file system
	closed bool
}

// NewSocket returns the socket at addr, which the dialer connects to.
func NewSocket(addr net.Addr, dialer net.Dialer) *Socket { return &Socket{addr: addr, dialer: dialer} }

// Take removes the name of the socket, which this process can reach all the
// same from then on: so nothing is left of it, however this process and the
// child end. Where the system cannot do so (Linux can) the name stays.
func (s *Socket) Take() {
	if s.addr.Network() != "unix" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handle = takeSocket(s.addr.String())
}

// Dial connects to the plugin. The caller closes the connection.
func (s *Socket) Dial(ctx context.Context) (net.Conn, error) {
	network, name := s.addr.Network(), s.addr.String()
	s.mu.RLock()
	closed, handle := s.closed, s.handle
	if closed || handle == nil {
		s.mu.RUnlock() // A machine that does not answer may hold up the dial for minutes.
	} else {
		// The system connects to a unix socket at once, or refuses to.
		defer s.mu.RUnlock()
		name = handleName(handle)
	}
	if closed {
		return nil, &net.OpError{Op: "dial", Net: network, Addr: s.addr, Err: net.ErrClosed}
	}
	return s.dialer.DialContext(ctx, network, name)
}

// close lets go of a child that has ended, and removes the socket that one
// leaves behind which could not do so itself.
func (s *Socket) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	if s.handle != nil {
		_ = s.handle.Close()
	} else if s.addr != nil && s.addr.Network() == "unix" {
		removeDeadSocket(s.addr.String())
	}
}

// handleName is a path by which to connect to a socket that was taken, as long as the
// handle is open.
func handleName(handle *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", handle.Fd()) }

// deadCheckTimeout bounds the look whether anything still listens on a socket.
// The system answers at once.
const deadCheckTimeout = time.Second

// removeDeadSocket removes a socket that nothing listens on. Something may: what
// a child left running when it ended itself.
func removeDeadSocket(path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return
	}
	conn, err := net.DialTimeout("unix", path, deadCheckTimeout)
	if err == nil {
		_ = conn.Close()
		return
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(path)
	}
}
