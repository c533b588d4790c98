// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"sync"
	"time"
)

// patience is how often a worker that calls methods itself is looked at. One
// that is found in the same call twice is relieved.
const patience = 2 * time.Millisecond

// Relief makes another goroutine read when a call of a worker takes longer than
// was expected. To set a timer for each call, or for each session, would cost
// more than the call's own goroutine: it may wake an idle thread. So one timer
// looks at the workers of all sessions that share a Relief, for as long as there
// are calls.
type Relief struct {
	mu      sync.Mutex
	workers []*worker // that have called since the last look, or are in a call
	timer   *time.Timer
}

// watch sees to it that the call which begins now is looked at.
func (r *Relief) watch(w *worker) {
	if w.watched.Load() || !w.watched.CompareAndSwap(false, true) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.workers = append(r.workers, w)
	if len(r.workers) > 1 {
		return // The timer is set.
	}
	if r.timer == nil {
		r.timer = time.AfterFunc(patience, r.look)
	} else {
		r.timer.Reset(patience)
	}
}

// look is called by the timer. It may relieve a call that has just begun, which
// does no harm.
func (r *Relief) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	kept := r.workers[:0]
	for _, w := range r.workers {
		if w.look() {
			kept = append(kept, w)
		}
	}
	clear(r.workers[len(kept):])
	r.workers = kept
	if len(kept) > 0 {
		r.timer.Reset(patience)
	}
}

// look reports whether the worker must be looked at once more.
func (w *worker) look() bool {
	calls := w.calls.Load()
	if calls != w.seen {
		w.seen = calls
		return true
	}
	if w.state.CompareAndSwap(calling, relieved) {
		go w.plugin.work()
		return false
	}
	w.watched.Store(false)
	// A call may have begun that took itself for watched.
	return w.calls.Load() != calls && w.watched.CompareAndSwap(false, true)
}
