// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"container/list"
	"errors"
	"fmt"
	"github.com/hashicorp/go-plugin/internal/env"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/internal/hello"
)

// maxPending is how many connections may be on their way through the
// handshake at once. Each costs a goroutine, a 4 KiB buffer, up to 16 KiB of
// hello and, with TLS, some 50 KiB while its handshake runs.
const maxPending = 1024

// pendingGate bounds the connections that nobody knows yet. When it is full the
// one that has been waiting longest goes: a host needs a few round trips, so
// what is old has most likely been left, and a flood cannot lock hosts out.
type pendingGate struct {
	mu      sync.Mutex
	limit   int
	waiting *list.List // of net.Conn, oldest first
}

func newPendingGate(limit int) *pendingGate {
	return &pendingGate{limit: limit, waiting: list.New()}
}

// enter counts conn in until leave is called.
func (g *pendingGate) enter(conn net.Conn) (leave func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting.Len() >= g.limit {
		oldest := g.waiting.Front()
		g.waiting.Remove(oldest)
		_ = oldest.Value.(net.Conn).Close()
	}
	entry := g.waiting.PushBack(conn)
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.waiting.Remove(entry)
	}
}

// sessionSet holds the attached hosts, up to a limit.
type sessionSet struct {
	mu       sync.Mutex
	limit    int
	closed   bool // draining: no more
	sessions map[*hostSession]struct{}
}

func newSessionSet(limit int) *sessionSet {
	return &sessionSet{limit: limit, sessions: make(map[*hostSession]struct{})}
}

// add counts a session in, or refuses it.
func (s *sessionSet) add(host *hostSession) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return &hello.Refusal{Code: hello.CodeDraining, Message: "the plugin is shutting down"}
	}
	if len(s.sessions) >= s.limit {
		return &hello.Refusal{Code: hello.CodeBusy,
			Message: fmt.Sprintf("%d hosts are attached already; run more replicas or raise %s", s.limit, env.MaxSessions)}
	}
	s.sessions[host] = struct{}{}
	return nil
}

func (s *sessionSet) remove(host *hostSession) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, host)
}

// close refuses further sessions and returns those that are left.
func (s *sessionSet) close() []*hostSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return slices.Collect(maps.Keys(s.sessions))
}

// logRefusal says who was turned away.
func logRefusal(logger hclog.Logger, peer net.Addr, err error) {
	if errors.Is(err, errSilent) || errors.Is(err, net.ErrClosed) {
		logger.Debug("connection closed before a handshake", "peer", peer.String(), "error", err)
		return
	}
	logger.Warn("host refused", "peer", peer.String(), "error", err)
}
