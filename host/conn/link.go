// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"sync"
	"sync/atomic"

	"github.com/reattach/reattach/host/balancer"
)

// Link is one session as calls see it. It counts them, so that a session which
// leaves can wait for them. A Link that is not retired may be shared by any
// number of goroutines; none of its methods blocks.
type Link struct {
	endpoint string
	session  Session
	info     Info
	ended    <-chan struct{} // the session's
	draining <-chan struct{} // the session's

	ejectAfter int32
	timedOut   chan struct{} // tells the Conn that ejectAfter is reached

	idle     chan struct{} // closed when retired, and no call is left
	idleOnce sync.Once

	retired  atomic.Bool // refuses further calls
	timeouts atomic.Int32

	// The fields above are read by every call, those below written. Calls are begun and
	// finished by different goroutines: each counter has a cache line of its own, so
	// that they do not wait for each other's.
	_        [64]byte
	begun    atomic.Int64
	_        [64]byte
	finished atomic.Int64
	_        [64]byte
}

func newLink(endpoint string, s Session, ejectAfter int) *Link {
	return &Link{
		endpoint: endpoint, session: s, info: s.Info(), ended: s.Done(), draining: s.Draining(),
		ejectAfter: int32(ejectAfter), timedOut: make(chan struct{}, 1), idle: make(chan struct{}),
	}
}

// Begin counts a call that starts. It reports false, and the call must go
// elsewhere, if the session has ended or is about to.
func (l *Link) Begin() bool {
	if !l.TakesCalls() {
		return false
	}
	l.begun.Add(1)
	if l.retired.Load() { // so that retire may not have seen this call
		l.release()
		return false
	}
	return true
}

// TakesCalls reports whether the session has neither ended nor said that it is about to,
// and was not retired. The Conn learns of an end a little later; no call should be lost
// in between.
func (l *Link) TakesCalls() bool {
	// Two selects, as one of two channels takes the locks of both.
	return !isClosed(l.ended) && !isClosed(l.draining) && !l.retired.Load()
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Done implements balancer.Lease: once for each Begin that reported true.
func (l *Link) Done(outcome balancer.Outcome) {
	switch outcome {
	case balancer.TimedOut:
		if l.timeouts.Add(1) == l.ejectAfter {
			select {
			case l.timedOut <- struct{}{}:
			default:
			}
		}
	case balancer.Answered:
		if l.timeouts.Load() != 0 {
			l.timeouts.Store(0)
		}
	}
	l.release()
}

func (l *Link) release() {
	l.finished.Add(1)
	if l.retired.Load() {
		l.endIfIdle()
	}
}

// endIfIdle is called of a link that is retired, by whoever ends a call last at the latest.
func (l *Link) endIfIdle() {
	if l.InFlight() == 0 {
		l.idleOnce.Do(func() { close(l.idle) })
	}
}

// retire refuses further calls.
func (l *Link) retire() {
	l.retired.Store(true)
	l.endIfIdle()
}

// Endpoint implements balancer.Lease.
func (l *Link) Endpoint() string { return l.endpoint }

// Session implements balancer.Lease: it gives the [Session] that the Dialer made.
func (l *Link) Session() any { return l.session }

// Ended implements balancer.Lease.
func (l *Link) Ended() <-chan struct{} { return l.ended }

// Info describes the session.
func (l *Link) Info() Info { return l.info }

// InFlight is the number of calls that have begun and not ended. While calls begin it may
// be higher, and is never lower.
func (l *Link) InFlight() int {
	finished := l.finished.Load() // first: each of these calls is among those that have begun
	return int(l.begun.Load() - finished)
}

// forgetTimeouts forgets the calls that timed out.
func (l *Link) forgetTimeouts() {
	l.timeouts.Store(0)
	select {
	case <-l.timedOut:
	default:
	}
}
