// SPDX-License-Identifier: MPL-2.0

package plan

import (
	"strings"
	"time"

	"github.com/reattach/reattach/test/bench/internal/bounds"
	"github.com/reattach/reattach/test/bench/internal/series"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

const (
	// slice is how long one turn of calls is measured, if there is time: long enough
	// for garbage to be collected in it, short enough that all subjects have their
	// turn before the machine is another one.
	slice = 60 * time.Millisecond
	// shortest is how long it must be to say anything.
	shortest = 30 * time.Millisecond
	// rounds is the least number of alternations.
	rounds = 5
	// share is which part of a slice comes before it, to warm up.
	share = 5
)

// Curve are the numbers of callers in the plot.
func Curve() []int { return []int{1, 4, 16, 64, 256} }

// payloads are those of one caller, beside the smallest.
func payloads() []int { return []int{1 << 10, 64 << 10} }

// calls gives a section for each load, and divides the time between them.
func calls(o Options, subjects []Subject) []Section {
	aside := func(want bool) func(Subject) bool { return func(s Subject) bool { return s.Aside == want } }
	alone := filter(subjects, aside(false)) // one caller's
	usual := filter(alone, func(s Subject) bool { return !s.Far })
	many := filter(usual, func(s Subject) bool { return !s.Single })
	curve := filter(usual, func(s Subject) bool { return s.Curve })
	busy := filter(filter(subjects, aside(true)), func(s Subject) bool { return strings.HasPrefix(s.Name, "busy-") })

	var all []Section
	add := func(c series.Calls, some []Subject) {
		all = append(all, Section{Name: "calls " + c.String(), Subjects: some, Calls: c})
	}
	add(bounds.Sequential, alone)
	add(bounds.Parallel, many)
	add(bounds.Large, usual)
	if !o.Quick {
		for _, p := range payloads() {
			add(series.Calls{Callers: 1, Payload: p}, usual)
		}
		add(series.Calls{Callers: 8, Payload: bounds.Large.Payload}, filter(many, func(s Subject) bool { return !s.Serial }))
		for _, n := range Curve() {
			if c := (series.Calls{Callers: n, Payload: bounds.Parallel.Payload}); c != bounds.Sequential && c != bounds.Parallel {
				add(c, curve)
			}
		}
	}
	add(bounds.Parallel, busy)
	return spend(o.For, all)
}

// spend says how long each turn is, and how many there are: as many as the time allows
// with slices of the usual length, and shorter slices if those are too few.
func spend(total time.Duration, all []Section) []Section {
	plain, weighed := 0, 0 // turns of the usual length, in one round of everything
	for _, s := range all {
		turns := len(s.Subjects) * times(s.Calls)
		plain += turns
		weighed += turns * weight(s.Calls)
	}
	if plain == 0 {
		return nil
	}
	const turn = slice + slice/share
	long, more := slice, weight
	n := int(total / turn / time.Duration(weighed))
	if n < rounds {
		more = func(series.Calls) int { return 1 }
		n = int(total / turn / time.Duration(plain))
	}
	if n < rounds {
		n = rounds
		long = max(shortest, total/time.Duration(plain*n)*share/(share+1))
	}
	for i := range all {
		s := &all[i]
		length := long * time.Duration(times(s.Calls))
		s.Rounds = n * more(s.Calls)
		s.Request = wire.Request{Op: wire.Calls, Load: wire.Load{
			Callers: s.Calls.Callers, Payload: s.Calls.Payload, For: length, Warm: length / share,
		}}
	}
	return all
}

// weight is how many more rounds than others a load gets, if there is time for all:
// a bound of a few per cent takes many to tell a miss from noise.
func weight(c series.Calls) int {
	if c == bounds.Sequential || c == bounds.Parallel {
		return 3
	}
	return 1
}

// times is by how much a slice is longer than the usual: several callers with large
// payloads are answered a few times in a slice, and all at once.
func times(c series.Calls) int {
	if c.Callers > 1 && c.Payload >= bounds.Large.Payload {
		return 3
	}
	return 1
}
