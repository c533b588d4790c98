// SPDX-License-Identifier: MPL-2.0

package rendezvous

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// maxQueue is how many connections of one id wait to be accepted.
const maxQueue = 1024

// Listeners are the listeners of broker ids. All methods may be called from any
// goroutine.
type Listeners struct {
	byID *Table[uint32, *Listener]
	// wanted is told of an id that is looked for and not there; nil: nobody is.
	wanted atomic.Pointer[func(id uint32)]
}

// NewListeners returns no listeners yet.
func NewListeners() *Listeners {
	return &Listeners{byID: New[uint32](Options[*Listener]{Replace: true, Shared: true, Dropped: (*Listener).stop})}
}

// Listen accepts id from now on. Where an id is accepted twice at one time, the
// later listener gets what arrives. After Close it is closed from the start.
func (l *Listeners) Listen(id uint32) *Listener {
	lis := &Listener{all: l, id: id}
	lis.more.L = &lis.mu
	if !l.byID.Put(id, lis) {
		lis.stop()
	}
	return lis
}

// Forward tells wanted of each id that is looked for while nobody accepts it. wanted
// returns at once.
func (l *Listeners) Forward(wanted func(id uint32)) { l.wanted.Store(&wanted) }

// Find returns the listener of id, waiting for one until ctx ends. It is an error if so
// many connections wait there that it would take no other.
func (l *Listeners) Find(ctx context.Context, id uint32) (*Listener, error) {
	if wanted := l.wanted.Load(); wanted != nil && !l.byID.Keeps(id) {
		(*wanted)(id)
	}
	lis, err := l.byID.Take(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("nobody accepts broker id %d: %w", id, err)
	}
	if lis.full() {
		return nil, fmt.Errorf("broker id %d: %d connections wait for Accept", id, maxQueue)
	}
	return lis, nil
}

// Close closes every listener, and all that come later.
func (l *Listeners) Close() { l.byID.Close() }

// Listener is a net.Listener for one id.
type Listener struct {
	all *Listeners
	id  uint32

	mu     sync.Mutex
	more   sync.Cond // queue has grown, or closed is set
	queue  []net.Conn
	closed bool
}

// Deliver hands conn over without waiting for Accept. A listener that is closed, or
// for which too many wait already, closes conn and reports false.
func (l *Listener) Deliver(conn net.Conn) bool {
	l.mu.Lock()
	taken := !l.closed && len(l.queue) < maxQueue
	if taken {
		l.queue = append(l.queue, conn)
		l.more.Signal()
	}
	l.mu.Unlock()
	if !taken {
		_ = conn.Close()
	}
	return taken
}

func (l *Listener) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.queue) >= maxQueue
}

// Accept returns the next connection that was delivered, and net.ErrClosed
// after Close. The caller closes the connection.
func (l *Listener) Accept() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.queue) == 0 && !l.closed {
		l.more.Wait()
	}
	if l.closed {
		return nil, &net.OpError{Op: "accept", Net: l.Addr().Network(), Addr: l.Addr(), Err: net.ErrClosed}
	}
	conn := l.queue[0]
	l.queue = l.queue[1:]
	return conn, nil
}

// Close stops accepting the id and closes what was delivered and not accepted.
func (l *Listener) Close() error {
	l.all.byID.Remove(l.id, l)
	l.stop()
	return nil
}

func (l *Listener) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, conn := range l.queue {
		_ = conn.Close()
	}
	l.queue = nil
	l.more.Broadcast()
}

// Addr returns the id as an [Addr].
func (l *Listener) Addr() net.Addr { return Addr(l.id) }

// Addr is the address of both ends of a connection that is named by an id.
type Addr uint32

// Network returns "broker".
func (Addr) Network() string { return "broker" }

// String names the id.
func (a Addr) String() string { return fmt.Sprintf("id %d", uint32(a)) }
