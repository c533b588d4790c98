// SPDX-License-Identifier: MPL-2.0

package history

import (
	"math"
	"strconv"
)

// Series is how calls fared in one slot after the other; see [Window].
type Series struct {
	// Calls counts those that ended.
	Calls []uint32 `json:"calls"`
	// Failed counts those of them that failed, by whose side it was.
	Failed Failed `json:"failed"`
	// P50 and P99 are within how many milliseconds one half of them, and 99 of 100, have
	// ended. They are zero where there were none.
	P50 []Millis `json:"p50"`
	P99 []Millis `json:"p99"`
}

// Failed counts failed calls by the side on which they failed.
type Failed struct {
	Plugin  []uint32 `json:"plugin"`
	Network []uint32 `json:"network"`
	Host    []uint32 `json:"host"`
	Caller  []uint32 `json:"caller"`
}

// Millis is a time in milliseconds. JSON has three digits of it.
type Millis float64

// MarshalJSON implements json.Marshaler.
func (m Millis) MarshalJSON() ([]byte, error) {
	if m == 0 {
		return []byte("0"), nil
	}
	digits := max(0, 2-int(math.Floor(math.Log10(float64(m)))))
	return strconv.AppendFloat(nil, float64(m), 'f', digits, 64), nil
}

// ring keeps the slots that have ended. Its zero value is empty.
type ring struct {
	slots  []slot            // by number modulo Slots; nil before the first call
	failed [][sources]uint32 // the same; nil before the first failure
}

// slot is what is kept of one slot: eight bytes.
type slot struct {
	calls    uint32
	p50, p99 level
}

// level is a time as its logarithm, so that two bytes hold it within a thousandth. Zero
// is none.
type level uint16

const perPower = 1536 // levels to a power of two of nanoseconds

func levelOf(ns float64) level {
	if ns < 1 {
		return 0
	}
	return level(min(math.Log2(ns)*perPower, math.MaxUint16))
}

func (l level) millis() Millis {
	if l == 0 {
		return 0
	}
	return Millis(math.Exp2(float64(l)/perPower) / 1e6)
}

func slotOf(t *tally) slot {
	return slot{t.calls(), levelOf(t.quantile(.5)), levelOf(t.quantile(.99))}
}

// put keeps slot number n.
func (r *ring) put(n uint64, t *tally) {
	s := slotOf(t)
	if s.calls == 0 && r.slots == nil {
		return
	}
	if r.slots == nil {
		r.slots = make([]slot, Slots)
	}
	r.slots[n%Slots] = s
	if r.failed == nil && t.failed != [sources]uint32{} {
		r.failed = make([][sources]uint32, Slots)
	}
	if r.failed != nil {
		r.failed[n%Slots] = t.failed
	}
}

// series gives the slots from number since on, and the one in progress, which is number
// now, at the end.
func (r *ring) series(since, now uint64, progress *tally) Series {
	if now >= Slots {
		since = max(since, now-Slots)
	}
	since = min(since, now)
	all := make([]slot, 0, now-since+1)
	failed := make([][sources]uint32, 0, cap(all))
	for n := since; n < now; n++ {
		var s slot
		var f [sources]uint32
		if r.slots != nil {
			s = r.slots[n%Slots]
		}
		if r.failed != nil {
			f = r.failed[n%Slots]
		}
		all, failed = append(all, s), append(failed, f)
	}
	all, failed = append(all, slotOf(progress)), append(failed, progress.failed)
	by := func(source Source) []uint32 {
		return list(failed, func(f [sources]uint32) uint32 { return f[source-1] })
	}
	return Series{
		Calls:  list(all, func(s slot) uint32 { return s.calls }),
		Failed: Failed{by(Plugin), by(Network), by(Host), by(Caller)},
		P50:    list(all, func(s slot) Millis { return s.p50.millis() }),
		P99:    list(all, func(s slot) Millis { return s.p99.millis() }),
	}
}

// list gives one number of each slot, without the zeros before the first that is none.
func list[S any, N uint32 | Millis](slots []S, number func(S) N) []N {
	numbers := make([]N, 0, len(slots))
	for _, s := range slots {
		if n := number(s); n != 0 || len(numbers) > 0 {
			numbers = append(numbers, n)
		}
	}
	return numbers
}
