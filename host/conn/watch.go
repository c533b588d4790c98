// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// ending says how a session came to its end.
type ending uint8

const (
	lost    ending = iota // it ended by itself, or gave no answer
	leaving               // the plugin is about to go, or another session shall take its place
	left                  // this host leaves
)

// watch looks after one session: it probes it, one probe at a time, and holds
// it back from calls while it is slow. Everything in it belongs to Run's
// goroutine.
type watch struct {
	*Conn
	link     *Link
	ready    time.Time
	timer    *time.Timer // the next probe
	probing  bool        // a probe is in flight, and the timer rests
	answer   chan error  // of that probe
	cancel   context.CancelFunc
	failures int // probes in a row
}

func newWatch(c *Conn, l *Link) *watch {
	// Sessions that began together are not probed together.
	first := rand.N(c.opts.PingInterval)
	return &watch{
		Conn: c, link: l, ready: time.Now(), timer: time.NewTimer(first),
		answer: make(chan error, 1), cancel: func() {},
	}
}

func (w *watch) run(ctx context.Context) (ending, error) {
	defer func() { w.cancel() }()
	defer w.timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return left, w.Status().Err
		case <-w.link.ended:
			return lost, cmp.Or(w.link.session.Err(), errEnded)
		case <-w.link.draining:
			return leaving, errLeaving
		case stale := <-w.renew:
			if w.noRedial.Err() == nil && stale(w.link.info) {
				return leaving, errStale
			}
		case <-w.link.alarm:
			w.eject()
		case <-w.timer.C:
			w.probe()
		case err := <-w.answer:
			if err := w.judge(err); err != nil {
				return lost, err
			}
		}
	}
}

// probe asks for an answer.
func (w *watch) probe() {
	w.probing = true
	ctx, cancel := context.WithTimeout(context.Background(), w.opts.PingTimeout)
	w.cancel = cancel
	w.wg.Go(func() {
		defer cancel()
		w.answer <- w.link.session.Ping(ctx)
	})
}

// judge takes the outcome of a probe. An error says that the session is dead.
func (w *watch) judge(err error) error {
	w.probing, w.cancel = false, func() {}
	defer w.schedule()
	if err == nil {
		w.failures = 0
		w.approve()
		return nil
	}
	select {
	case <-w.link.ended: // run sees it next, and knows why
		return nil
	default:
	}
	w.failures++
	if w.failures >= w.opts.PingFailures {
		return fmt.Errorf("no answer to %d pings in a row: %w", w.failures, err)
	}
	w.update(func(s *Status) { s.Ejected, s.Err = true, fmt.Errorf("no answer to a ping: %w", err) })
	return nil
}

// approve notes that all is well: for long enough, or again.
func (w *watch) approve() {
	s, now := w.Status(), time.Now()
	back := s.Ejected && !now.Before(s.EjectedUntil)
	lasted := s.Failures > 0 && now.Sub(w.ready) >= w.opts.StableAfter
	if back {
		w.returned = now
		w.link.calmDown()
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
		w.ejections.reset()
	}
	d := w.ejections.next()
	w.update(func(s *Status) {
		s.Ejected, s.EjectedUntil = true, time.Now().Add(d)
		s.Ejections++
		s.Err = fmt.Errorf("%d calls in a row timed out", w.opts.EjectAfter)
	})
	if !w.probing {
		w.schedule()
	}
}

// schedule sets the time of the next probe.
func (w *watch) schedule() {
	d := jitter(w.opts.PingInterval)
	if w.failures > 0 {
		d = min(d, quickPing)
	}
	if until := w.Status().EjectedUntil; !until.IsZero() {
		d = min(d, max(time.Until(until), 0))
	}
	w.timer.Reset(d)
}
