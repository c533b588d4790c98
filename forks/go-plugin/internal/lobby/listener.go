// SPDX-License-Identifier: MPL-2.0

package lobby

import (
	"net"
	"sync"
)

// maxQueue is how many connections of one id wait to be accepted.
const maxQueue = 1024

// Listener is a net.Listener for one id.
type Listener struct {
	lobby *Lobby
	id    uint32
	addr  net.Addr
	done  chan struct{}
	more  chan struct{} // has an item while queue may hold one

	mu     sync.Mutex
	queue  []net.Conn
	closed bool
}

// Deliver hands conn over without waiting for Accept. A listener that is closed, or
// for which too many wait already, closes conn and reports false.
func (l *Listener) Deliver(conn net.Conn) bool {
	l.mu.Lock()
	if l.closed || len(l.queue) >= maxQueue {
		l.mu.Unlock()
		_ = conn.Close()
		return false
	}
	l.queue = append(l.queue, conn)
	l.mu.Unlock()
	l.wake()
	return true
}

func (l *Listener) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) >= maxQueue
}

func (l *Listener) wake() {
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// Accept returns the next connection that was delivered, and net.ErrClosed
// after Close. The caller closes the connection.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		if conn, left := l.next(); conn != nil {
			if left {
				l.wake()
			}
			return conn, nil
		}
		select {
		case <-l.more:
		case <-l.done:
			return nil, &net.OpError{Op: "accept", Net: l.addr.Network(), Addr: l.addr, Err: net.ErrClosed}
		}
	}
}

func (l *Listener) next() (conn net.Conn, left bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		return nil, false
	}
	conn, l.queue = l.queue[0], l.queue[1:]
	return conn, len(l.queue) > 0
}

// Close stops accepting the id and closes what was delivered and not accepted.
func (l *Listener) Close() error {
	l.lobby.remove(l)
	l.stop()
	return nil
}

func (l *Listener) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.closed = true
	close(l.done)
	for _, conn := range l.queue {
		_ = conn.Close()
	}
	l.queue = nil
}

// Addr returns the address given to Listen.
func (l *Listener) Addr() net.Addr { return l.addr }
