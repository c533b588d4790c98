// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"sync/atomic"
	"time"
)

// patience is how often a worker that calls methods itself is looked at. One
// that is found in the same call twice is relieved.
const patience = 2 * time.Millisecond

// relief makes another goroutine read when a call of a worker takes longer than
// was expected. To set a timer for each call would cost more than the call's
// own goroutine: it may wake an idle thread. So one timer looks at all calls, for
// as long as there are any.
type relief struct {
	timer *time.Timer
	armed atomic.Bool
	seen  uint64 // calls when the timer last looked
}

// watch sees to it that the call which begins now is looked at.
func (r *relief) watch(w *worker) {
	if r.armed.Load() || !r.armed.CompareAndSwap(false, true) {
		return
	}
	if r.timer == nil {
		// look uses r.timer, so it must not be called before r.timer is set.
		r.timer = time.AfterFunc(time.Hour, func() { r.look(w) })
	}
	r.timer.Reset(patience)
}

// look is called by the timer. When it relieves the worker, its goroutine
// becomes the reader. It may relieve a call that has just begun, which does no
// harm.
func (r *relief) look(w *worker) {
	calls := w.calls.Load()
	if calls != r.seen {
		r.seen = calls
		r.timer.Reset(patience)
		return
	}
	if w.state.CompareAndSwap(calling, relieved) {
		w.plugin.read()
		return
	}
	r.armed.Store(false)
	if w.calls.Load() != calls && r.armed.CompareAndSwap(false, true) {
		r.timer.Reset(patience) // A call has begun, and thought us to be watching.
	}
}

func (r *relief) stop() {
	if r.timer != nil {
		r.timer.Stop()
	}
}
