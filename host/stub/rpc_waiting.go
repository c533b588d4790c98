// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// waitingCalls are the calls on a session channel that have no answer yet, by their
// numbers, and one deadline timer for all of them: a call with a usual timeout sets none.
// Whoever takes a call out owns it.
//
// net/rpc sends one call at a time, so whatever a sender waits for all callers wait for. Calls
// are therefore added, found and taken without a lock: a table behind a mutex, which requests
// and answers take in turn, makes a call of 64 callers cost a fifth more in the stub.
type waitingCalls struct {
	now    func() time.Duration // the clock of deadlines
	expire func()               // called at the earliest deadline or before, in a goroutine of its own

	slots slotTable
	added uint64 // calls that ever were; of whoever may add one

	next  atomic.Int64 // when the timer runs out, a time.Duration; never while it does not run
	mu    sync.Mutex   // guards timer, and whatever makes next sooner
	timer *time.Timer  // nil until the first call
}

// never is a deadline that does not come.
const never = time.Duration(math.MaxInt64)

// ended is sooner than all deadlines, so that no timer is set any more.
const ended = math.MinInt64

func (w *waitingCalls) init(now func() time.Duration, expire func()) {
	w.now, w.expire = now, expire
	w.next.Store(int64(never))
}

// add gives the call its number. It reports false if there are too many. One goroutine may
// add a call at a time.
func (w *waitingCalls) add(k *call) bool {
	slot, ok := w.slots.reserve()
	if !ok {
		return false
	}
	waiting := &k.first
	if k.number != 0 { // it was added before, perhaps elsewhere
		waiting = new(waitingCall)
	}
	w.added++
	k.number = w.added<<slotBits | uint64(slot)
	*waiting = waitingCall{k.number, k}
	w.slots.put(waiting)
	// Whoever has set next to never looks at all calls afterwards, and so at this one.
	if deadline := k.deadline(); int64(deadline) < w.next.Load() {
		w.setTimer(deadline)
	}
	return true
}

func (w *waitingCalls) setTimer(deadline time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if int64(deadline) >= w.next.Load() {
		return
	}
	w.next.Store(int64(deadline))
	if w.timer == nil {
		w.timer = time.AfterFunc(deadline-w.now(), w.expire)
	} else {
		w.timer.Reset(deadline - w.now())
	}
}

// find returns a call that stays here, or nil. Only what never changes may be read of it.
func (w *waitingCalls) find(number uint64) *call {
	if waiting := w.slots.find(number); waiting != nil {
		return waiting.call
	}
	return nil
}

// take returns the call to its new owner, or nil if it has one.
func (w *waitingCalls) take(number uint64) *call {
	if waiting := w.slots.find(number); waiting != nil && w.slots.remove(waiting) {
		return waiting.call
	}
	return nil
}

// takeExpired takes those whose deadlines have passed, and sets the timer for the others.
func (w *waitingCalls) takeExpired() (expired []*call) {
	w.mu.Lock()
	if w.next.Load() != ended {
		w.next.Store(int64(never))
	}
	w.mu.Unlock()
	now, earliest := w.now(), never
	for waiting := range w.slots.all() {
		if deadline := waiting.call.deadline(); deadline > now {
			earliest = min(earliest, deadline)
		} else if w.slots.remove(waiting) {
			expired = append(expired, waiting.call)
		}
	}
	if earliest != never {
		w.setTimer(earliest)
	}
	return expired
}

// takeAll takes all calls and stops the timer. No call is added any more.
func (w *waitingCalls) takeAll() (calls []*call) {
	for waiting := range w.slots.all() {
		if w.slots.remove(waiting) {
			calls = append(calls, waiting.call)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next.Store(ended)
	if w.timer != nil {
		w.timer.Stop()
	}
	return calls
}
