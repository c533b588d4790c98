// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"iter"
	"math/bits"
	"sync/atomic"
)

// slotTable keeps calls at the places that their numbers name. One goroutine at a time may
// put calls into it, and many may find and remove them meanwhile.
//
// Slots are used in turn, so that neighbours are written one after the other, and neither
// side writes what the other has to read for each call: there is no list of free slots and
// no count of calls.
type slotTable struct {
	// The first piece has firstSlots slots, and each other one as many as all before it.
	// Pieces stay, so that a slot never moves.
	pieces [slotBits - firstSlotBits + 1]atomic.Pointer[[]slot]
	// full says that all slots are busy. Whoever removes a call takes it back.
	full atomic.Bool

	// What follows belongs to whoever puts calls into the table.
	size   uint32 // slots that there are
	cursor uint32 // the slot to try next
	busy   uint32 // slots below cursor that were passed over since it was at zero
}

// slot is nil while it is free.
type slot = atomic.Pointer[waitingCall]

// waitingCall says that a call waits. There is a new one each time that it does, so that a
// slot whose next call waits is not taken for one whose last call does.
type waitingCall struct {
	number uint64
	call   *call
}

// A call's number has its slot in the low bits, and how many were added before it in the
// others, which tells an answer that comes late from one to the slot's next call.
const (
	slotBits      = 20
	maxWaiting    = 1 << slotBits
	firstSlotBits = 4
	firstSlots    = 1 << firstSlotBits
)

// slotOf is the slot that a number names.
func slotOf(number uint64) uint32 { return uint32(number % maxWaiting) }

// locate says in which piece a slot is, and where in it.
func locate(n uint32) (piece int, at uint32) {
	if n < firstSlots {
		return 0, n
	}
	length := bits.Len32(n)
	return length - firstSlotBits, n - 1<<(length-1)
}

// at gives a slot, or nil if there is no such one.
func (t *slotTable) at(n uint32) *slot {
	piece, at := locate(n)
	if slots := t.pieces[piece].Load(); slots != nil {
		return &(*slots)[at]
	}
	return nil
}

// reserve gives a free slot for the next call. It reports false if there is none.
func (t *slotTable) reserve() (n uint32, ok bool) {
	for !t.full.Load() && (t.cursor < t.size || t.turn()) {
		n = t.cursor
		t.cursor++
		if t.at(n).Load() == nil {
			return n, true
		}
		t.busy++
	}
	return 0, false
}

// turn begins again at the first slot, or with a new piece if more than half of the slots
// were busy. It reports false if the table is full.
func (t *slotTable) turn() bool {
	switch {
	case t.size == 0:
		t.grow(0, firstSlots)
	case t.busy > t.size/2 && t.size < maxWaiting:
		t.grow(bits.Len32(t.size)-firstSlotBits, t.size)
	default:
		if t.busy == t.size {
			t.full.Store(true)
			if t.hasFree() { // It was removed before it could take that back.
				t.full.Store(false)
			}
		}
		t.cursor, t.busy = 0, 0
	}
	return !t.full.Load()
}

func (t *slotTable) hasFree() bool {
	for n := range t.size {
		if t.at(n).Load() == nil {
			return true
		}
	}
	return false
}

func (t *slotTable) grow(piece int, by uint32) {
	slots := make([]slot, by)
	t.pieces[piece].Store(&slots)
	t.size += by
}

// put makes a call wait under its number, which names a slot that was reserved.
func (t *slotTable) put(w *waitingCall) { t.at(slotOf(w.number)).Store(w) }

// find returns what waits under a number, or nil.
func (t *slotTable) find(number uint64) *waitingCall {
	slot := t.at(slotOf(number))
	if slot == nil {
		return nil
	}
	if w := slot.Load(); w != nil && w.number == number {
		return w
	}
	return nil
}

// remove frees the slot of a call. It reports false if somebody else has.
func (t *slotTable) remove(w *waitingCall) bool {
	removed := t.at(slotOf(w.number)).CompareAndSwap(w, nil)
	if removed && t.full.Load() {
		t.full.Store(false)
	}
	return removed
}

// all gives what waits, in no order.
func (t *slotTable) all() iter.Seq[*waitingCall] {
	return func(yield func(*waitingCall) bool) {
		for i := range t.pieces {
			slots := t.pieces[i].Load()
			if slots == nil {
				return
			}
			for n := range *slots {
				if w := (*slots)[n].Load(); w != nil && !yield(w) {
					return
				}
			}
		}
	}
}
