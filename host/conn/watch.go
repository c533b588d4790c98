// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// ending says how a session came to its end.
type ending uint8

const (
	lost    ending = iota // it ended by itself, or gave no answer
	leaving               // the plugin is about to go, or another session shall take its place
	left                  // this host leaves
)

// watch looks after one session while it takes calls: it pings it, and holds it back
// from calls while it is slow. Everything in it belongs to Run's goroutine.
type watch struct {
	*Conn
	link  *Link
	pings *pinger
	ready time.Time
}

func (w *watch) run(ctx context.Context) (ending, error) {
	for {
		select {
		case <-ctx.Done():
			return left, w.Status().Err
		case <-w.link.ended:
			return lost, cmp.Or(w.link.session.Err(), errEnded)
		case <-w.link.draining:
			return leaving, errLeaving
		case <-w.renew:
			if stale := w.stale.Swap(nil); stale != nil && w.noRedial.Err() == nil && (*stale)(w.link.info) {
				return leaving, errStale
			}
		case <-w.link.timedOut:
			w.eject()
		case <-w.pings.due.C:
			w.pings.ping()
		case err := <-w.pings.answer:
			if err := w.pinged(err); err != nil {
				return lost, err
			}
		}
	}
}

// pinged takes the outcome of a ping. An error says that the session is dead.
func (w *watch) pinged(err error) error {
	if err != nil && isClosed(w.link.ended) {
		w.pings.inFlight = false
		return nil // run sees it next, and knows why
	}
	dead := w.pings.answered(err != nil)
	switch {
	case dead:
		return unanswered(fmt.Sprintf("no answer to %d pings in a row", w.pings.failures), err)
	case err != nil:
		w.update(func(s *Status) {
			s.Ejected = true
			s.fail(unanswered("no answer to a ping", err))
		})
	default:
		w.approve()
	}
	w.pings.next(err, w.Status().EjectedUntil)
	return nil
}

// approve notes that all is well: for long enough, or again.
func (w *watch) approve() {
	s, now := w.Status(), time.Now()
	back := s.Ejected && !now.Before(s.EjectedUntil)
	lasted := s.Failures > 0 && now.Sub(w.ready) >= w.opts.StableAfter
	if back {
		w.returned = now
		w.link.forgetTimeouts()
	}
	if back || lasted {
		w.update(func(s *Status) {
			if back {
				s.Ejected, s.EjectedUntil = false, time.Time{}
			}
			if lasted {
				s.Failures = 0
			}
		})
	}
}

// eject holds the endpoint back because calls time out, longer each time
// unless the last time is long ago.
func (w *watch) eject() {
	if !w.Status().EjectedUntil.IsZero() {
		return
	}
	if time.Since(w.returned) > w.opts.Ejection.Max {
		w.ejections.Reset()
	}
	d := w.ejections.NextBackOff()
	w.update(func(s *Status) {
		s.Ejected, s.EjectedUntil = true, time.Now().Add(d)
		s.Ejections++
		s.fail(fmt.Errorf("%d calls in a row timed out", w.opts.EjectAfter))
	})
	if !w.pings.inFlight {
		w.pings.next(nil, w.Status().EjectedUntil)
	}
}
