// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"context"
	"errors"
	"time"

	"github.com/reattach/reattach/host/target"
)

// serve watches over a session until it ends, the plugin leaves, or ctx ends.
// The endpoint is not READY by the time it returns why. A session that leaves
// may outlive it by the calls in flight.
func (c *Conn) serve(ctx context.Context, l *Link) error {
	ready := time.Now()
	pings := newPinger(l.session, &c.opts, &c.wg)
	w := &watch{Conn: c, link: l, pings: pings, ready: ready}
	end, err := w.run(ctx)
	l.retire()
	c.stable = errors.Is(err, errStale) || time.Since(ready) >= c.opts.StableAfter
	if c.stable {
		c.logged = nil
	}
	c.update(func(s *Status) {
		s.fail(err)
		s.State, s.Departure = TransientFailure, Stays.after(err)
		if end == left {
			s.State = Shutdown
		}
		if c.stable {
			s.Failures = 0
		}
	})
	if end == lost {
		pings.stop()
		c.close(l)
		return err
	}
	drained := make(chan struct{})
	c.wg.Go(func() {
		defer close(drained)
		c.drain(l, pings)
	})
	if end == leaving && c.endpoint.Placement == target.Network {
		// Another instance may stand behind the address already: the long
		// calls of the old one must not keep us from it.
		return err
	}
	select {
	case <-drained:
	case <-ctx.Done():
		c.update(func(s *Status) { s.State = Shutdown })
		<-drained
	}
	return err
}
