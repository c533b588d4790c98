// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"context"
	"time"
)

// drain waits for the calls in flight, within bounds, and closes the session. failures
// is how many pings in a row had no answer before.
//
// It pings on: an endpoint is most often withdrawn because it is about to end, but also
// because it hangs, and its idempotent calls can be answered elsewhere only once it is
// known to be lost.
func (c *Conn) drain(l *Link, failures int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	bound := time.NewTimer(c.opts.DrainTimeout)
	defer bound.Stop()
	next := time.NewTimer(0)
	defer next.Stop()
	answered := make(chan bool, 1)
	for done := false; !done; {
		select {
		case <-l.idle:
			done = true
		case <-l.ended:
			done = true
		case <-c.hurry.Done():
			c.log.Debug("closing a session with calls in flight, as there is no time left", "calls", l.InFlight())
			done = true
		case <-bound.C:
			c.log.Warn("closing a session with calls in flight", "calls", l.InFlight(), "after", c.opts.DrainTimeout)
			done = true
		case <-next.C:
			c.wg.Go(func() { answered <- c.answers(ctx, l) })
		case ok := <-answered:
			if failures++; ok {
				failures = 0
			}
			if done = failures >= c.opts.PingFailures; done {
				c.log.Warn("closing a session with calls in flight, as it gives no answer", "calls", l.InFlight(), "pings", failures)
				break
			}
			next.Reset(drainPing(ok))
		}
	}
	c.close(l)
}

// answers pings a session that leaves. An error is an answer too, such as that it takes
// no new calls; only silence is none. There is less time than for a session that stays,
// whose calls nobody has any reason to doubt.
func (c *Conn) answers(ctx context.Context, l *Link) bool {
	within, cancel := context.WithTimeout(ctx, c.opts.PingTimeout/3)
	defer cancel()
	err := l.session.Ping(within)
	return err == nil || within.Err() == nil
}

// drainPing is the pause before the next ping: none if the last one had no answer.
func drainPing(answered bool) time.Duration {
	if answered {
		return jitter(quickPing)
	}
	return 0
}
