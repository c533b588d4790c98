// SPDX-License-Identifier: MPL-2.0

package balancer

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Policy says which of several ready endpoints gets the next call. The zero
// value is RoundRobin.
type Policy uint8

const (
	// RoundRobin takes one after the other.
	RoundRobin Policy = iota
	// LeastRequest draws two at random and takes the one with fewer calls in
	// flight: nearly as even as asking all of them, at the price of two. The one
	// that was drawn last gets the next call as well if that comes within a
	// millisecond and finds it idle, as it is warm: up to 128 in a row.
	LeastRequest
)

// String gives the policy as users write it: "round-robin" or
// "least-request".
func (p Policy) String() string {
	switch p {
	case RoundRobin:
		return "round-robin"
	case LeastRequest:
		return "least-request"
	}
	return fmt.Sprintf("policy(%d)", uint8(p))
}

// MarshalText writes String. It fails for a value that is no policy.
func (p Policy) MarshalText() ([]byte, error) {
	if p > LeastRequest {
		return nil, fmt.Errorf("balancer policy %d is unknown", uint8(p))
	}
	return []byte(p.String()), nil
}

// UnmarshalText reads what String gives.
func (p *Policy) UnmarshalText(text []byte) error {
	for _, known := range []Policy{RoundRobin, LeastRequest} {
		if known.String() == string(text) {
			*p = known
			return nil
		}
	}
	return fmt.Errorf("balancer policy %q is unknown: use round-robin or least-request", text)
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
