// SPDX-License-Identifier: MPL-2.0

// Package balancer chooses one of a plugin's ready endpoints for each call.
// It reads immutable snapshots without a lock and does no I/O.
package balancer

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Endpoint is what calls are routed to, usually a pointer. It counts them itself.
type Endpoint interface {
	// InFlight is the number of calls that have begun and not ended. A pick asks
	// for it, from any goroutine; it must not block.
	InFlight() int
}

// Candidate is an endpoint that may be picked.
type Candidate[T Endpoint] struct {
	// Value is what a pick gives.
	Value T
	// Zone is where the endpoint runs, or empty.
	Zone string
	// ForZones and ForNodes are comma lists of the zones and nodes that the endpoint is
	// meant for. Empty says nothing.
	ForZones, ForNodes string
}

// Options configures a Picker. The zero value is round robin over all.
type Options struct {
	Policy Policy
	Zone   ZonePreference
}

// Picker chooses among the candidates of one snapshot. Pick may be called from any
// number of goroutines; it does not block.
type Picker[T Endpoint] struct {
	policy     Policy
	candidates []Candidate[T] // the preferred ones first
	preferred  int
	made       time.Time

	_      [64]byte // the fields above are read often, those below are written often
	next   atomic.Uint64
	sticky stickyPick
}

// New makes a Picker over a copy of candidates, which should all be ready.
func New[T Endpoint](opts Options, candidates []Candidate[T]) *Picker[T] {
	p := &Picker[T]{policy: opts.Policy, made: time.Now()}
	p.candidates, p.preferred = arrange(opts.Zone, candidates)
	// Snapshots change while calls go on: if each began with the first
	// candidate, it would get more than its share.
	p.next.Store(rand.Uint64N(1 << 32))
	return p
}

// Pick chooses a candidate of which skip does not report true. It reports false if there
// is none. skip is nil in the usual case, and true of what has been tried already; when
// that is all that the preferred zone has, another zone is used.
func (p *Picker[T]) Pick(skip func(T) bool) (value T, ok bool) {
	first, rest := p.candidates[:p.preferred], p.candidates[p.preferred:]
	var c *Candidate[T]
	if p.policy == RoundRobin {
		turn := p.next.Add(1) // one for a pick, whichever zones it looks at
		if c = roundRobin(first, skip, turn); c == nil {
			c = roundRobin(rest, skip, turn)
		}
	} else if c = p.leastRequest(first, skip); c == nil {
		c = p.leastRequest(rest, skip)
	}
	if c == nil {
		return value, false
	}
	return c.Value, true
}
