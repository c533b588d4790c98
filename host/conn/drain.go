// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"errors"
	"time"
)

// drain waits for the calls in flight, within bounds, and closes the session.
//
// The session is pinged on as before: an endpoint is most often withdrawn because it is
// about to end, but also because it hangs, and its idempotent calls can be answered
// elsewhere only once it is known to be lost. An error is an answer too, such as that it
// takes no new calls.
func (c *Conn) drain(l *Link, pings *pinger) {
	defer pings.stop()
	bound := time.NewTimer(c.opts.DrainTimeout)
	defer bound.Stop()
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
			c.log.Warn("closing a session with calls in flight", "calls", l.InFlight(), "after", c.opts.DrainTimeout.String())
			done = true
		case <-pings.due.C:
			pings.ping()
		case err := <-pings.answer:
			if done = pings.answered(errors.Is(err, errNoAnswer)); done {
				c.log.Warn("closing a session with calls in flight, as it gives no answer", "calls", l.InFlight(), "pings", pings.failures)
			}
			pings.next(err, time.Time{})
		}
	}
	c.close(l)
}
