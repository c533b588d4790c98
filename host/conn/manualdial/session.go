// SPDX-License-Identifier: MPL-2.0

package manualdial

import (
	"context"
	"errors"
	"sync"

	"github.com/reattach/reattach/host/conn"
)

// ErrClosed is what Err gives of a session that was closed by this side.
var ErrClosed = errors.New("session was closed")

// Session is one that a Dialer has made. Its methods may be called from any
// goroutine.
type Session struct {
	info     conn.Info
	draining chan struct{}
	done     chan struct{}

	mu     sync.Mutex
	ping   func(context.Context) error
	pings  int
	drains bool
	err    error
	closed bool
	gate   chan struct{} // Close waits for it; nil if it need not
}

func newSession(info conn.Info) *Session {
	switch info.Protocol {
	case "":
		info.Protocol = "netrpc"
	case "-":
		info.Protocol = ""
	}
	return &Session{info: info, draining: make(chan struct{}), done: make(chan struct{})}
}

// Info implements conn.Session.
func (s *Session) Info() conn.Info { return s.info }

// Draining implements conn.Session.
func (s *Session) Draining() <-chan struct{} { return s.draining }

// Done implements conn.Session.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err implements conn.Session.
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Ping implements conn.Session: as SetPing says, or at once.
func (s *Session) Ping(ctx context.Context) error {
	s.mu.Lock()
	s.pings++
	ping := s.ping
	s.mu.Unlock()
	if ping == nil {
		return s.Err()
	}
	return ping(ctx)
}

// SetPing says how pings end from now on. Nil makes them succeed.
func (s *Session) SetPing(f func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ping = f
}

// Hang is for SetPing: there is no answer.
func Hang(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// Pings is how many pings were asked for.
func (s *Session) Pings() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pings
}

// Drain makes the plugin say that it is about to leave.
func (s *Session) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.drains {
		s.drains = true
		close(s.draining)
	}
}

// End ends the session as the plugin's end does.
func (s *Session) End(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = err
		close(s.done)
	}
}

// Close implements conn.Session.
func (s *Session) Close() error {
	s.mu.Lock()
	gate := s.gate
	s.mu.Unlock()
	if gate != nil {
		<-gate
	}
	s.End(ErrClosed)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// HoldClose makes Close wait until release is called.
func (s *Session) HoldClose() (release func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gate = gate
	return sync.OnceFunc(func() { close(gate) })
}

// Closed reports whether Close has returned.
func (s *Session) Closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
