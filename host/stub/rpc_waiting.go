// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// waitingCalls are the calls on a session channel that have no answer yet, by their
// numbers, and one deadline timer for all of them: a call with a usual timeout sets none.
// Whoever takes a call out owns it.
type waitingCalls struct {
	expire func() // called at the earliest deadline or before, in a goroutine of its own

	mu    sync.Mutex
	calls map[uint64]*call
	timer *time.Timer // nil until the first call
	next  time.Time   // when the timer runs out; zero while it does not run
}

func (w *waitingCalls) add(k *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.calls == nil {
		w.calls = make(map[uint64]*call)
	}
	w.calls[k.seq] = k
	w.setTimer(k.deadline())
}

// setTimer is called with mu held.
func (w *waitingCalls) setTimer(deadline time.Time) {
	if !w.next.IsZero() && !deadline.Before(w.next) {
		return
	}
	w.next = deadline
	if w.timer == nil {
		w.timer = time.AfterFunc(time.Until(deadline), w.expire)
		return
	}
	w.timer.Reset(time.Until(deadline))
}

// find returns a call that stays here, or nil. Only what never changes may be read of it.
func (w *waitingCalls) find(number uint64) *call {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.calls[number]
}

// take returns the call to its new owner, or nil if it has one.
func (w *waitingCalls) take(number uint64) *call {
	w.mu.Lock()
	defer w.mu.Unlock()
	k := w.calls[number]
	delete(w.calls, number)
	return k
}

// takeExpired takes those whose deadlines have passed, and sets the timer for the others.
func (w *waitingCalls) takeExpired() (expired []*call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next = time.Time{}
	now := time.Now()
	for number, k := range w.calls {
		if deadline := k.deadline(); deadline.After(now) {
			w.setTimer(deadline)
			continue
		}
		delete(w.calls, number)
		expired = append(expired, k)
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
	calls := slices.Collect(maps.Values(w.calls))
	w.calls = nil
	return calls
}
