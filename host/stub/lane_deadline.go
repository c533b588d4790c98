// SPDX-License-Identifier: MPL-2.0

package stub

import "time"

// alarm is one timer for many deadlines. Setting it costs nothing while an
// earlier deadline is set, and nobody takes one back: a call with a usual
// timeout pays for no timer at all. Whose it is guards it with a lock.
type alarm struct {
	ring  func() // at the earliest deadline; has to set the alarm for the others
	at    time.Time
	timer *time.Timer
}

// set makes the alarm ring at a time or before.
func (a *alarm) set(at time.Time) {
	if !a.at.IsZero() && !at.Before(a.at) {
		return
	}
	a.at = at
	if a.timer == nil {
		a.timer = time.AfterFunc(time.Until(at), a.ring)
		return
	}
	a.timer.Reset(time.Until(at))
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// expire ends the calls that were not answered in time. Their answers, if they
// still come, find no call.
func (l *lane) expire() {
	for _, k := range l.takeLate(time.Now()) {
		endpoint := k.lease.Endpoint()
		k.lease.Done(TimedOut)
		l.codec.fault(k, &Fault{Reason: ReasonTimeout, Endpoint: endpoint, Method: k.method, MayHaveRun: true})
	}
}

// takeLate makes the caller the owner of the calls whose deadline has come.
func (l *lane) takeLate(now time.Time) (late []*call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alarm.at = time.Time{}
	for seq, k := range l.calls {
		if deadline := k.deadline(); deadline.After(now) {
			l.alarm.set(deadline)
			continue
		}
		delete(l.calls, seq)
		late = append(late, k)
	}
	if len(late) > 0 {
		l.closeIfIdleLocked()
	}
	return late
}
