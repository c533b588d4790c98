// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"sync"
	"time"
)

// checkInterval is how often a worker that calls methods itself is checked. One
// that is found in the same call twice is replaced.
const checkInterval = 2 * time.Millisecond

// Watchdog makes another goroutine read when a call of a worker takes longer than
// was expected. To set a timer for each call, or for each session, would cost
// more than the call's own goroutine: it may wake an idle thread. So one timer
// checks the workers of all sessions that share a Watchdog, for as long as there
// are calls.
type Watchdog struct {
	mu      sync.Mutex
	workers []*worker // that have called since the last check, or are in a call
	timer   *time.Timer
}

// watch sees to it that the call which begins now is checked.
func (d *Watchdog) watch(w *worker) {
	if w.watched.Load() || !w.watched.CompareAndSwap(false, true) {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.workers = append(d.workers, w)
	if len(d.workers) > 1 {
		return // The timer is set.
	}
	if d.timer == nil {
		d.timer = time.AfterFunc(checkInterval, d.check)
	} else {
		d.timer.Reset(checkInterval)
	}
}

// check is called by the timer. It may replace the reader of a call that has just
// begun, which does no harm.
func (d *Watchdog) check() {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.workers[:0]
	for _, w := range d.workers {
		if w.check() {
			kept = append(kept, w)
		}
	}
	clear(d.workers[len(kept):])
	d.workers = kept
	if len(kept) > 0 {
		d.timer.Reset(checkInterval)
	}
}

// check reports whether the worker must be checked once more.
func (w *worker) check() bool {
	calls := w.calls.Load()
	if calls != w.seen {
		w.seen = calls
		return true
	}
	if w.replace() {
		go w.plugin.work()
		return false
	}
	w.watched.Store(false)
	// A call may have begun that took itself for watched.
	return w.calls.Load() != calls && w.watched.CompareAndSwap(false, true)
}

// replace makes another worker the one that reads, unless the call has ended. The caller
// starts it.
func (w *worker) replace() bool {
	p := w.plugin
	p.mu.Lock()
	defer p.mu.Unlock()
	if !w.state.CompareAndSwap(calling, replaced) {
		return false
	}
	if w.service != nil && w.message.kind != kindOpen { // of net/rpc
		p.registerLocked(w)
	}
	return true
}
