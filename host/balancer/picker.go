// SPDX-License-Identifier: MPL-2.0

// Package balancer chooses one of a plugin's ready endpoints for each call.
// It reads immutable snapshots without a lock and does no I/O.
package balancer

import (
	"iter"
	"math/rand/v2"
	"slices"
	"sync/atomic"
)

// Endpoint is what calls are routed to, usually a pointer. It counts them itself.
type Endpoint interface {
	comparable
	// InFlight is the number of calls that have begun and not ended. A pick asks
	// for it, from any goroutine; it must not block.
	InFlight() int
}

// Candidate is an endpoint that may be picked.
type Candidate[T Endpoint] struct {
	// Value is what a pick gives. No two candidates have the same.
	Value T
	// Zone is where the endpoint runs, or empty.
	Zone string
}

// Options configures a Picker. The zero value is round robin over all.
type Options struct {
	Policy Policy
	Zone   ZonePreference
}

// Picker chooses among the candidates of one snapshot. All its methods may be
// called from any number of goroutines; none blocks.
type Picker[T Endpoint] struct {
	policy     Policy
	candidates []Candidate[T] // the preferred ones first
	preferred  int

	_      [64]byte // the fields above are read often, those below are written often
	next   atomic.Uint64
	streak streak
}

// New makes a Picker over a copy of candidates, which should all be ready.
func New[T Endpoint](opts Options, candidates []Candidate[T]) *Picker[T] {
	p := &Picker[T]{policy: opts.Policy}
	p.candidates, p.preferred = arrange(opts.Zone, candidates)
	// Snapshots change while calls go on: if each began with the first
	// candidate, it would get more than its share.
	p.next.Store(rand.Uint64N(1 << 32))
	return p
}

// Pick chooses a candidate that is not in exclude. It reports false if there
// is none. Those that have been tried already go into exclude; when they are
// all that the preferred zone has, another zone is used.
func (p *Picker[T]) Pick(exclude ...T) (value T, ok bool) {
	var skip func(T) bool
	if len(exclude) > 0 {
		skip = func(v T) bool { return slices.Contains(exclude, v) }
	}
	if c := p.choose(skip); c != nil {
		return c.Value, true
	}
	return value, false
}

// choose calls the policy's function directly: through a function value,
// skip would have to be allocated.
func (p *Picker[T]) choose(skip func(T) bool) *Candidate[T] {
	first, rest := p.candidates[:p.preferred], p.candidates[p.preferred:]
	switch {
	case p.policy == RoundRobin:
		turn := p.next.Add(1) // one for a pick, whichever zones it looks at
		if c := roundRobin(first, skip, turn); c != nil {
			return c
		}
		return roundRobin(rest, skip, turn)
	case skip == nil:
		return p.warmOrDrawn(first)
	}
	p.streak.avoid(func(i int) bool { return skip(first[i].Value) })
	if c := leastRequest(first, skip); c != nil {
		return c
	}
	return leastRequest(rest, skip)
}

func roundRobin[T Endpoint](tier []Candidate[T], skip func(T) bool, turn uint64) *Candidate[T] {
	if len(tier) == 0 {
		return nil
	}
	c := &tier[turn%uint64(len(tier))]
	if skip != nil && skip(c.Value) {
		// Not its neighbour: that one would get all the calls which fail here.
		return draw(tier, skip, nil)
	}
	return c
}

// warmOrDrawn stays with the candidate of the last pick, or else takes the less
// busy of two.
func (p *Picker[T]) warmOrDrawn(tier []Candidate[T]) *Candidate[T] {
	switch len(tier) {
	case 0:
		return nil
	case 1:
		return &tier[0]
	}
	now := sinceEpoch()
	if i, ok := p.streak.next(now, func(i int) bool { return tier[i].Value.InFlight() == 0 }); ok {
		return &tier[i]
	}
	i, j := rand.IntN(len(tier)), rand.IntN(len(tier)-1)
	if j >= i {
		j++ // two different ones, each pair as likely
	}
	if lighter(&tier[i], &tier[j]) == &tier[j] {
		i = j
	}
	p.streak.begin(i, now)
	return &tier[i]
}

// leastRequest takes the less busy of two that are not skipped.
func leastRequest[T Endpoint](tier []Candidate[T], skip func(T) bool) *Candidate[T] {
	if len(tier) == 0 {
		return nil
	}
	a := draw(tier, skip, nil)
	if a == nil || len(tier) == 1 {
		return a
	}
	return lighter(a, draw(tier, skip, a))
}

// lighter gives the one with fewer calls in flight. b may be nil.
func lighter[T Endpoint](a, b *Candidate[T]) *Candidate[T] {
	if b != nil && b.Value.InFlight() < a.Value.InFlight() {
		return b
	}
	return a
}

// draw gives one at random that is neither skipped nor other, or nil if
// there is none.
func draw[T Endpoint](tier []Candidate[T], skip func(T) bool, other *Candidate[T]) *Candidate[T] {
	const tries = 8
	for range tries {
		if c := &tier[rand.IntN(len(tier))]; c != other && !skip(c.Value) {
			return c
		}
	}
	// Nearly all are skipped: look at each.
	start := rand.IntN(len(tier))
	for i := range tier {
		if c := &tier[(start+i)%len(tier)]; c != other && !skip(c.Value) {
			return c
		}
	}
	return nil
}

// Len is the number of candidates.
func (p *Picker[T]) Len() int { return len(p.candidates) }

// Preferred is how many of them are picked while none is excluded: all, or
// those of the preferred zone.
func (p *Picker[T]) Preferred() int { return p.preferred }

// All yields every candidate, the preferred ones first.
func (p *Picker[T]) All() iter.Seq[Candidate[T]] { return slices.Values(p.candidates) }
