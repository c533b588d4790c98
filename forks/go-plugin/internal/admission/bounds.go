// SPDX-License-Identifier: MPL-2.0

package admission

import (
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/go-plugin/internal/hello"
)

// Hosts holds the sessions of the attached hosts, up to a limit. Its methods may be
// called from any goroutine.
type Hosts[S comparable] struct {
	mu       sync.Mutex
	limit    int
	closed   bool // draining: no more
	sessions map[S]struct{}
}

// NewHosts returns an empty set for limit sessions.
func NewHosts[S comparable](limit int) *Hosts[S] {
	return &Hosts[S]{limit: limit, sessions: make(map[S]struct{})}
}

// Add counts a session in, or refuses it by a [hello.Refusal].
func (h *Hosts[S]) Add(session S) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return hello.RefuseDraining()
	}
	if len(h.sessions) >= h.limit {
		return hello.RefuseBusy(h.limit)
	}
	h.sessions[session] = struct{}{}
	return nil
}

// Remove forgets a session, which need not have been added.
func (h *Hosts[S]) Remove(session S) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, session)
}

// Close refuses further sessions and returns those that are left.
func (h *Hosts[S]) Close() []S {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	return slices.Collect(maps.Keys(h.sessions))
}
