// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"math"
	"sync"
	"time"
)

// waitingCalls are the calls on a session channel that have no answer yet, by their
// numbers, and one deadline timer for all of them: a call with a usual timeout sets none.
// Whoever takes a call out owns it.
type waitingCalls struct {
	now    func() time.Duration // the clock of deadlines
	expire func()               // called at the earliest deadline or before, in a goroutine of its own

	mu    sync.Mutex
	slots []*call       // nil: free
	free  []uint32      // the slots without a call
	added uint64        // calls that ever were
	timer *time.Timer   // nil until the first call
	next  time.Duration // when the timer runs out; never while it does not run
}

// A call's number has its slot in the low bits, and how many were added before it in the
// others, which tells an answer that comes late from one to the slot's next call.
const (
	slotBits   = 20
	slotMask   = maxWaiting - 1
	maxWaiting = 1 << slotBits
)

// never is a deadline that does not come.
const never = time.Duration(math.MaxInt64)

// add gives the call its number. It reports false if there are too many.
func (w *waitingCalls) add(k *call) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	slot := uint32(len(w.slots))
	switch n := len(w.free); {
	case n > 0:
		slot, w.free = w.free[n-1], w.free[:n-1]
		w.slots[slot] = k
	case slot == maxWaiting:
		return false
	default:
		w.slots = append(w.slots, k)
	}
	w.added++
	k.number = w.added<<slotBits | uint64(slot)
	w.setTimer(k.deadline())
	return true
}

// setTimer is called with mu held.
func (w *waitingCalls) setTimer(deadline time.Duration) {
	if w.timer == nil {
		w.next = deadline
		w.timer = time.AfterFunc(deadline-w.now(), w.expire)
	} else if deadline < w.next {
		w.next = deadline
		w.timer.Reset(deadline - w.now())
	}
}

// find returns a call that stays here, or nil. Only what never changes may be read of it.
func (w *waitingCalls) find(number uint64) *call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.findLocked(number)
}

func (w *waitingCalls) findLocked(number uint64) *call {
	slot := number & slotMask
	if slot >= uint64(len(w.slots)) || w.slots[slot] == nil || w.slots[slot].number != number {
		return nil
	}
	return w.slots[slot]
}

// take returns the call to its new owner, or nil if it has one.
func (w *waitingCalls) take(number uint64) *call {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.findLocked(number)
	if k != nil {
		w.removeLocked(k)
	}
	return k
}

func (w *waitingCalls) removeLocked(k *call) {
	slot := k.number & slotMask
	w.slots[slot] = nil
	w.free = append(w.free, uint32(slot))
}

// takeExpired takes those whose deadlines have passed, and sets the timer for the others.
func (w *waitingCalls) takeExpired() (expired []*call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = never
	now := w.now()
	for _, k := range w.slots {
		switch {
		case k == nil:
		case k.deadline() > now:
			w.setTimer(k.deadline())
		default:
			w.removeLocked(k)
			expired = append(expired, k)
		}
	}
	return expired
}

// takeAll takes all calls and stops the timer. No call is added any more.
func (w *waitingCalls) takeAll() []*call {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
	}
	var calls []*call
	for _, k := range w.slots {
		if k != nil {
			calls = append(calls, k)
		}
	}
	w.slots, w.free = nil, nil
	return calls
}
