// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"math"
	"math/bits"
	"time"
)

const (
	// durationSchema is that of Prometheus whose buckets end at the powers of the eighth
	// root of two.
	durationSchema = 3
	// firstPower and lastPower are the powers of two, in seconds, between which durations
	// are told apart: from 60 ns to 4.5 h.
	firstPower, lastPower = -24, 14
	// maxNativeBuckets is how many native buckets a scrape shows of a method. Where there
	// are more, two are shown as one.
	maxNativeBuckets = 160
)

// classicBounds are where the classic buckets end.
var classicBounds = [...]time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second}

// durationBuckets is how many buckets calls are counted in: the native ones, each of which
// is two where a classic one ends within it. One second is where both end.
const durationBuckets = (lastPower-firstPower)<<durationSchema + 1 + len(classicBounds) - 1

// durationBound is where a bucket ends, and which bucket it is part of.
type durationBound struct {
	upTo    time.Duration
	native  int // Prometheus's own index
	classic int
}

var durationBounds = newDurationBounds()

func newDurationBounds() (bounds [durationBuckets]durationBound) {
	at, classic := 0, 0
	add := func(upTo time.Duration, native int) {
		bounds[at] = durationBound{upTo, native, classic}
		if at++; classic < len(classicBounds) && upTo == classicBounds[classic] {
			classic++
		}
	}
	for n := firstPower << durationSchema; n <= lastPower<<durationSchema; n++ {
		upTo := time.Duration(math.Exp2(float64(n)/(1<<durationSchema)) * float64(time.Second))
		if classic < len(classicBounds) && classicBounds[classic] < upTo {
			add(classicBounds[classic], n)
		}
		add(upTo, n)
	}
	return bounds
}

// durationsFrom is the first bucket for nanoseconds of so many bits.
var durationsFrom = newDurationsFrom()

func newDurationsFrom() (from [64]int) {
	at := 0
	for n := range from {
		for at < durationBuckets-1 && n > 0 && durationBounds[at].upTo < 1<<(n-1) {
			at++
		}
		from[n] = at
	}
	return from
}

// durationBucketOf gives the bucket of a duration: the first that ends no sooner, or the last.
func durationBucketOf(took time.Duration) int {
	at := durationsFrom[bits.Len64(uint64(max(took, 0)))]
	for at < durationBuckets-1 && durationBounds[at].upTo < took {
		at++
	}
	return at
}

// coarsened gives buckets of the finest schema that has no more of them than may be shown.
func coarsened(buckets map[int]int64) (fewer map[int]int64, schema int32) {
	for schema = durationSchema; len(buckets) > maxNativeBuckets; schema-- {
		fewer = make(map[int]int64, len(buckets)/2+1)
		for n, count := range buckets {
			fewer[(n+1)>>1] += count
		}
		buckets = fewer
	}
	return buckets, schema
}
