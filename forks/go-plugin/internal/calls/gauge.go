// SPDX-License-Identifier: MPL-2.0

// Package calls counts calls in flight, for whoever waits until there are none.
package calls

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/internal/wait"
)

// Gauge counts calls in flight and tells when there are none.
type Gauge struct {
	mu       sync.Mutex
	inFlight int
	started  uint64         // calls ever begun
	idle     wait.Condition // inFlight has fallen to zero
}

// Begin counts a call in.
func (g *Gauge) Begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight++
	g.started++
}

// BeginWithin counts a call in if fewer than most are in flight, and reports whether it
// did.
func (g *Gauge) BeginWithin(most int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inFlight >= most {
		return false
	}
	g.inFlight++
	g.started++
	return true
}

// End counts a call out.
func (g *Gauge) End() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	if g.inFlight == 0 {
		g.idle.Broadcast()
	}
}

// Count is how many calls are in flight.
func (g *Gauge) Count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inFlight
}

// Begun is how many calls have ever begun.
func (g *Gauge) Begun() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.started
}

// WaitQuiet returns when no call has been in flight for the duration quiet, or
// when ctx ends, with its cause.
func (g *Gauge) WaitQuiet(ctx context.Context, quiet time.Duration) error {
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		idleAt, err := g.awaitIdle(ctx)
		if err != nil {
			return err
		}
		timer.Reset(quiet)
		select {
		case <-timer.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if now, err := g.awaitIdle(ctx); err != nil || now == idleAt {
			return err
		}
	}
}

// awaitIdle waits until nothing is in flight, and returns how many calls have begun by
// then.
func (g *Gauge) awaitIdle(ctx context.Context) (started uint64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	err = g.idle.Until(ctx, &g.mu, nil, func() bool { return g.inFlight == 0 })
	return g.started, err
}
