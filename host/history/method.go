// SPDX-License-Identifier: MPL-2.0

package history

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// Source says on whose side a call failed.
type Source uint8

// The sources of errors, and None for a call that did not fail.
const (
	None Source = iota
	Plugin
	Network
	Host
	Caller
	sources = 4 // but for None
)

// Durations are counted in buckets, four to each power of two, from below 16 µs to
// above 34 s.
const (
	firstPower = 13 // of nanoseconds: the first bucket ends at 2^(firstPower+1)
	lastPower  = 35
	parts      = 4 // of a power
	buckets    = (lastPower - firstPower) * parts
)

// Method counts the calls of one method. It only ever counts up: what a slot had is the
// difference to what there was at its beginning.
type Method struct {
	took   [buckets]atomic.Uint32
	failed [sources]atomic.Uint32

	// What follows is guarded by History.mu.
	ring
	before tally // when the slot in progress began
}

// Called counts a call that has ended. It may be called from any goroutine, and for nil.
func (m *Method) Called(took time.Duration, failed Source) {
	if m == nil {
		return
	}
	m.took[bucketOf(took)].Add(1)
	if failed != None {
		m.failed[failed-1].Add(1)
	}
}

func bucketOf(took time.Duration) int {
	ns := uint64(max(took, 1))
	power := bits.Len64(ns) - 1
	switch {
	case power < firstPower:
		return 0
	case power >= lastPower:
		return buckets - 1
	}
	return (power-firstPower)*parts + int(ns>>(power-2))&(parts-1)
}

// lower gives where a bucket begins.
func lower(bucket int) float64 {
	base := float64(uint64(1) << (firstPower + bucket/parts))
	return base * (1 + float64(bucket%parts)/parts)
}

// counted gives what was counted in the slot in progress, which end ends. History.mu is
// held.
func (m *Method) counted(end bool) tally {
	var now tally
	for i := range m.took {
		now.took[i] = m.took[i].Load()
	}
	for i := range m.failed {
		now.failed[i] = m.failed[i].Load()
	}
	since := now
	since.subtract(&m.before)
	if end {
		m.before = now
	}
	return since
}

// tally is how calls fared within one slot. Its numbers may wrap around, as those of a
// Method do.
type tally struct {
	took   [buckets]uint32
	failed [sources]uint32
}

func (t *tally) add(o *tally) {
	for i, n := range o.took {
		t.took[i] += n
	}
	for i, n := range o.failed {
		t.failed[i] += n
	}
}

func (t *tally) subtract(o *tally) {
	for i, n := range o.took {
		t.took[i] -= n
	}
	for i, n := range o.failed {
		t.failed[i] -= n
	}
}

// calls gives how many there were.
func (t *tally) calls() (n uint32) {
	for _, of := range t.took {
		n += of
	}
	return n
}

// quantile gives a time within which a share of the calls ended, in nanoseconds. Within
// its bucket it is as far as the call's rank among those of the bucket. It is zero
// without calls.
func (t *tally) quantile(share float64) float64 {
	all := t.calls()
	if all == 0 {
		return 0
	}
	rank := share * float64(all)
	for i, n := range t.took {
		if float64(n) < rank || n == 0 {
			rank -= float64(n)
			continue
		}
		begin := lower(i)
		return begin + (lower(i+1)-begin)*math.Max(rank, 0)/float64(n)
	}
	return lower(buckets)
}
