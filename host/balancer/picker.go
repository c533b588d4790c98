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

func roundRobin[T Endpoint](tier []Candidate[T], skip func(T) bool, turn uint64) *Candidate[T] {
	if len(tier) == 0 {
		return nil
	}
	c := &tier[turn%uint64(len(tier))]
	if skip != nil && skip(c.Value) {
		// Not its neighbour: that one would get all the calls which fail here.
		_, c = draw(tier, skip, nil)
	}
	return c
}

// leastRequest takes the less busy of two that are drawn, or stays with the one of the
// last pick. A call that was tried in vain ends that: it may have been there.
func (p *Picker[T]) leastRequest(tier []Candidate[T], skip func(T) bool) *Candidate[T] {
	if len(tier) == 1 && skip == nil {
		return &tier[0]
	}
	now := uint32(time.Since(p.made).Microseconds())
	if skip != nil {
		p.sticky.end()
	} else if i, ok := p.sticky.next(now); ok && tier[i].Value.InFlight() == 0 {
		return &tier[i]
	}
	i, a := draw(tier, skip, nil)
	if j, b := draw(tier, skip, a); b != nil && b.Value.InFlight() < a.Value.InFlight() {
		i, a = j, b
	}
	if a != nil && skip == nil {
		p.sticky.begin(i, now)
	}
	return a
}

// draw gives one at random that is neither skipped nor other, or nil if there is none.
func draw[T Endpoint](tier []Candidate[T], skip func(T) bool, other *Candidate[T]) (int, *Candidate[T]) {
	const tries = 8
	if len(tier) == 0 {
		return 0, nil
	}
	for range tries {
		i := rand.IntN(len(tier))
		if c := &tier[i]; c != other && (skip == nil || !skip(c.Value)) {
			return i, c
		}
	}
	start := rand.IntN(len(tier)) // nearly all are skipped: look at each
	for n := range tier {
		i := (start + n) % len(tier)
		if c := &tier[i]; c != other && (skip == nil || !skip(c.Value)) {
			return i, c
		}
	}
	return 0, nil
}
