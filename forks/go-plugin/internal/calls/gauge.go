// SPDX-License-Identifier: MPL-2.0

// Package calls counts calls in flight, for whoever waits until there are none.
package calls

import (
	"context"
	"sync"
	"time"
)

// Gauge counts calls in flight and tells when there are none.
type Gauge struct {
	mu       sync.Mutex
	inFlight int
	started  uint64        // calls ever begun
	idle     chan struct{} // closed when inFlight falls to zero; nil if nobody waits
}

// Begin counts a call in.
func (g *Gauge) Begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight++
	g.started++
}

// End counts a call out.
func (g *Gauge) End() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	if g.inFlight == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

// Count is how many calls are in flight.
func (g *Gauge) Count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inFlight
}

// WaitQuiet returns when no call has been in flight for the duration quiet, or
// when ctx ends, with its error.
func (g *Gauge) WaitQuiet(ctx context.Context, quiet time.Duration) error {
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		idle, started := g.idleChan()
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
		timer.Reset(quiet)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, now := g.snapshot(); now == started && g.Count() == 0 {
			return nil
		}
	}
}

// idleChan returns a channel that is closed once nothing is in flight, and how
// many calls had begun by now.
func (g *Gauge) idleChan() (<-chan struct{}, uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inFlight == 0 {
		closed := make(chan struct{})
		close(closed)
		return closed, g.started
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	return g.idle, g.started
}

func (g *Gauge) snapshot() (inFlight int, started uint64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inFlight, g.started
}
