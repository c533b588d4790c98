// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"sync"
	"sync/atomic"
	"time"
)

// alarm is one timer for many deadlines. Setting it costs next to nothing while
// an earlier deadline is set, and nobody takes one back: a call with a usual
// timeout pays for no timer at all.
type alarm struct {
	ring func() // at the earliest deadline; has to call rang, and set the alarm for the others

	at      atomic.Int64 // the moment when it rings
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func newAlarm(ring func()) *alarm {
	a := &alarm{ring: ring}
	a.at.Store(int64(never))
	return a
}

// set makes the alarm ring at a time or before.
func (a *alarm) set(at moment) {
	if a.at.Load() <= int64(at) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped || a.at.Load() <= int64(at) {
		return
	}
	a.at.Store(int64(at))
	left := time.Until(at.time())
	if a.timer == nil {
		a.timer = time.AfterFunc(left, a.ring)
		return
	}
	a.timer.Reset(left)
}

// rang is called before a deadline is looked at: one that is set from then on
// makes the alarm ring again.
func (a *alarm) rang() { a.at.Store(int64(never)) }

// stop is for good.
func (a *alarm) stop() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped = true
	if a.timer != nil {
		a.timer.Stop()
	}
}

// expire ends the calls that were not answered in time. Their answers, if they
// still come, find no call.
func (l *lane) expire() {
	l.alarm.rang()
	noticed := now()
	for _, k := range l.calls.list() {
		if deadline := k.deadline(); deadline > noticed {
			l.alarm.set(deadline)
			continue
		}
		if !l.calls.remove(k) {
			continue // Its answer was quicker.
		}
		endpoint := k.lease.Endpoint()
		k.lease.Done(k.options.unanswered(time.Duration(k.deadline() - k.handed)))
		l.codec.fault(k, Fault{Reason: ReasonTimeout, Endpoint: endpoint, MayHaveRun: true})
	}
	l.closeIfIdle()
}
