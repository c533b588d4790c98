// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"math/rand/v2"
	"time"
)

// Backoff is a pause that doubles from Min to Max each time. Every pause is
// spread by a fifth either way, so that endpoints which failed together do not
// return together.
type Backoff struct {
	Min, Max time.Duration
}

// pauses counts along a Backoff.
type pauses struct {
	Backoff
	count int
}

// next gives the next pause.
func (p *pauses) next() time.Duration {
	d := p.Max
	if shift := p.count; p.Min <= p.Max>>shift { // the other way round it would overflow
		d = p.Min << shift
	}
	p.count++
	return jitter(d)
}

// soon is the pause before the first attempt after all was well: short, and
// different for each endpoint.
func (p *pauses) soon() time.Duration { return 1 + rand.N(p.Min) }

// reset makes the next pause the shortest again.
func (p *pauses) reset() { p.count = 0 }

// jitter gives d, a fifth more or less.
func jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}
