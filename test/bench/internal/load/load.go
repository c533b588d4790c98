// SPDX-License-Identifier: MPL-2.0

// Package load calls a greeter from many goroutines for a while, and says how fast
// it answered.
package load

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/reattach/reattach/test/bench/internal/wire"
)

// Greet is one call.
type Greet func(name string) (string, error)

// Run calls greet as l says. batch calls are timed together: for calls that take no
// longer than to read the clock. The processor time is not filled in.
func Run(greet Greet, l wire.Load, batch int) (wire.Rate, error) {
	if l.Callers < 1 || l.For <= 0 || batch < 1 {
		return wire.Rate{}, fmt.Errorf("cannot load with %d callers for %v", l.Callers, l.For)
	}
	name := strings.Repeat("a", l.Payload)
	answer, err := greet(name)
	if err != nil {
		return wire.Rate{}, fmt.Errorf("the first call: %w", err)
	}
	if !strings.HasSuffix(answer, name) {
		return wire.Rate{}, fmt.Errorf("the first call: %d bytes were answered that do not end in the argument", len(answer))
	}
	start := time.Now()
	warm, end := start.Add(l.Warm), start.Add(l.Warm+l.For)
	all := make([]caller, l.Callers)
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() { all[i].run(greet, name, len(answer), batch, warm, end) })
	}
	wg.Wait()
	rate, err := sum(all, batch)
	rate.Calls++ // the first one
	return rate, err
}

// caller is one goroutine that calls.
type caller struct {
	calls       int
	first, last time.Time // what was timed lies between these
	took        []time.Duration
	err         error
}

func (c *caller) run(greet Greet, name string, want, batch int, warm, end time.Time) {
	then := time.Now()
	for c.err == nil && (then.Before(end) || len(c.took) == 0) {
		for range batch {
			answer, err := greet(name)
			if err == nil && len(answer) != want {
				err = fmt.Errorf("%d bytes were answered, not %d", len(answer), want)
			}
			c.err = cmp.Or(c.err, err)
		}
		c.calls += batch
		now := time.Now()
		switch {
		case !c.first.IsZero():
			c.took = append(c.took, now.Sub(then)/time.Duration(batch))
		case !now.Before(warm):
			c.first = now
		}
		then = now
	}
	c.last = then
}

// sum adds up the rates of all callers, each over the time in which it was timed.
func sum(all []caller, batch int) (wire.Rate, error) {
	var rate wire.Rate
	var perSecond float64
	var took []time.Duration
	var errs []error
	for _, c := range all {
		if c.err != nil {
			errs = append(errs, c.err)
			continue
		}
		rate.Calls += c.calls
		perSecond += float64(len(c.took)*batch) / c.last.Sub(c.first).Seconds()
		took = append(took, c.took...)
	}
	if len(errs) > 0 {
		return rate, fmt.Errorf("%d of %d callers failed: %w", len(errs), len(all), errors.Join(errs[:min(len(errs), 3)]...))
	}
	slices.Sort(took)
	rate.PerCall = float64(time.Second) / perSecond
	rate.P50, rate.P99, rate.Max = took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
	return rate, nil
}
