// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// pinger pings one session, one ping at a time, from the session's beginning until it
// is closed: while it takes calls, and while those that it has finish. Whoever looks
// after the session then receives from due and answer. Its methods are called from one
// goroutine at a time.
type pinger struct {
	session  Session
	opts     *Options
	wg       *sync.WaitGroup // of the goroutines that ping
	due      *time.Timer     // the next ping; rests while one is in flight
	inFlight bool
	answer   chan error // of that ping
	cancel   context.CancelFunc
	failures int // pings in a row
}

func newPinger(s Session, opts *Options, wg *sync.WaitGroup) *pinger {
	return &pinger{
		session: s, opts: opts, wg: wg,
		due:    time.NewTimer(gathered(time.Now(), rand.N(opts.PingInterval), opts.PingInterval/gathering)), // sessions that began together are not pinged together
		answer: make(chan error, 1), cancel: func() {},
	}
}

// ping asks for an answer.
func (p *pinger) ping() {
	p.inFlight = true
	ctx, cancel := context.WithTimeout(context.Background(), p.opts.PingTimeout)
	p.cancel = cancel
	p.wg.Go(func() {
		defer cancel()
		err := p.session.Ping(ctx)
		if err != nil && ctx.Err() != nil {
			err = &reworded{err.Error(), []error{errNoAnswer, err}}
		}
		p.answer <- err
	})
}

// answered counts the outcome of the ping in flight, and reports whether so many in a
// row have failed that the session is lost.
func (p *pinger) answered(failed bool) (lost bool) {
	p.inFlight, p.cancel = false, func() {}
	if !failed {
		p.failures = 0
		return false
	}
	p.failures++
	return p.failures >= p.opts.PingFailures
}

// next sets the time of the next ping, after one that came to err: at once if it had
// no answer, as it has taken its time. It is not later than by, unless that is zero.
func (p *pinger) next(err error, by time.Time) {
	d := jitter(p.opts.PingInterval)
	switch {
	case errors.Is(err, errNoAnswer):
		d = 0
	case p.failures > 0:
		d = min(d, quickPing)
	}
	if !by.IsZero() {
		d = min(d, max(time.Until(by), 0))
	}
	p.due.Reset(gathered(time.Now(), d, p.opts.PingInterval/gathering))
}

// gathering is how many times in an interval endpoints are pinged: those that are due at
// about the same time wake a sleeping host once.
const gathering = 32

// gathered makes a pause from now on a little longer, so that it ends when others do.
func gathered(now time.Time, pause, step time.Duration) time.Duration {
	if step <= 0 || pause < step {
		return pause
	}
	past := (time.Duration(now.UnixNano()%int64(step)) + pause) % step
	return pause + (step-past)%step
}

// stop ends the ping in flight, and all others.
func (p *pinger) stop() {
	p.cancel()
	p.due.Stop()
}
