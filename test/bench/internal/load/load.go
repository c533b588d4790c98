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
	rate, err := sum(all, batch, warm, end)
	rate.Calls++ // the first one
	return rate, err
}

// caller is one goroutine that calls.
type caller struct {
	calls int
	timed []call // those that were answered after the warm-up
	err   error
}

// call is one that was answered, or a batch of them.
type call struct {
	at   time.Time
	took time.Duration
}

func (c *caller) run(greet Greet, name string, want, batch int, warm, end time.Time) {
	then := time.Now()
	for c.err == nil && (then.Before(end) || len(c.timed) < 2) {
		for range batch {
			answer, err := greet(name)
			if err == nil && len(answer) != want {
				err = fmt.Errorf("%d bytes were answered, not %d", len(answer), want)
			}
			c.err = cmp.Or(c.err, err)
		}
		c.calls += batch
		now := time.Now()
		if !now.Before(warm) {
			c.timed = append(c.timed, call{now, now.Sub(then)})
		}
		then = now
	}
}

// sum brings together what all callers saw.
func sum(all []caller, batch int, warm, end time.Time) (wire.Rate, error) {
	var rate wire.Rate
	var timed []call
	var errs []error
	for _, c := range all {
		rate.Calls += c.calls
		timed = append(timed, c.timed...)
		if c.err != nil {
			errs = append(errs, c.err)
		}
	}
	if len(errs) > 0 {
		return rate, fmt.Errorf("%d of %d callers failed: %w", len(errs), len(all), errors.Join(errs[:min(len(errs), 3)]...))
	}
	rate.PerCall = perCall(all, batch, warm, end)
	slices.SortFunc(timed, func(a, b call) int { return cmp.Compare(a.took, b.took) })
	quantile := func(hundredths int) time.Duration {
		return timed[len(timed)*hundredths/100].took / time.Duration(batch)
	}
	rate.P50, rate.P99, rate.Max = quantile(50), quantile(99), timed[len(timed)-1].took/time.Duration(batch)
	return rate, nil
}

// perCall is the time by how many calls were answered.
func perCall(all []caller, batch int, warm, end time.Time) float64 {
	if len(all) == 1 {
		// From the first answer to the last, which is exact also for few of them.
		timed := all[0].timed
		took := timed[len(timed)-1].at.Sub(timed[0].at)
		return float64(took) / float64((len(timed)-1)*batch)
	}
	// The answers to many callers come in bursts, so that the time from the first to the
	// last of them says little. What comes after the end does not count: then ever fewer
	// callers are left. But if all came later, it is all that there is.
	within, later, last := 0, 0, end
	for _, c := range all {
		for _, one := range c.timed {
			if one.at.Before(end) {
				within++
				continue
			}
			later++
			if one.at.After(last) {
				last = one.at
			}
		}
	}
	if within == 0 {
		within, end = later, last
	}
	return float64(end.Sub(warm)) / float64(within*batch)
}
