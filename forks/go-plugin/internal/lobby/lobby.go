// SPDX-License-Identifier: MPL-2.0

// Package lobby brings connections that arrive for a broker id together with
// whoever accepts that id.
package lobby

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// Lobby knows which ids are accepted at the moment. All methods may be called
// from any goroutine. Its zero value is not usable, see [New].
type Lobby struct {
	mu        sync.Mutex
	listeners map[uint32]*Listener
	changed   chan struct{} // closed and replaced when an id is added
	closed    bool
}

// New returns an empty lobby.
func New() *Lobby {
	return &Lobby{listeners: map[uint32]*Listener{}, changed: make(chan struct{})}
}

// Listen accepts id from now on. Where an id is accepted twice at one time, the
// later listener gets what arrives. addr is what the listener's Addr reports.
// In a closed lobby the listener is closed from the start.
func (l *Lobby) Listen(id uint32, addr net.Addr) *Listener {
	lis := &Listener{lobby: l, id: id, addr: addr, done: make(chan struct{}), more: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		lis.stop()
		return lis
	}
	l.listeners[id] = lis
	close(l.changed)
	l.changed = make(chan struct{})
	return lis
}

// Find returns the listener of id, waiting for one until ctx ends. It is an error if so
// many connections wait there that it would take no other.
func (l *Lobby) Find(ctx context.Context, id uint32) (*Listener, error) {
	for {
		l.mu.Lock()
		lis, closed, changed := l.listeners[id], l.closed, l.changed
		l.mu.Unlock()
		if lis != nil && lis.full() {
			return nil, fmt.Errorf("broker id %d: %d connections wait for Accept", id, maxQueue)
		}
		if lis != nil {
			return lis, nil
		}
		if closed {
			return nil, fmt.Errorf("find who accepts broker id %d: %w", id, net.ErrClosed)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("nobody accepts broker id %d: %w", id, context.Cause(ctx))
		}
	}
}

// Close closes every listener, and all that come later.
func (l *Lobby) Close() {
	l.mu.Lock()
	listeners := l.listeners
	l.listeners, l.closed = nil, true
	close(l.changed)
	l.changed = make(chan struct{})
	l.mu.Unlock()
	for _, lis := range listeners {
		lis.stop()
	}
}

// remove forgets lis, unless another listener has taken its id.
func (l *Lobby) remove(lis *Listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.listeners[lis.id] == lis {
		delete(l.listeners, lis.id)
	}
}
