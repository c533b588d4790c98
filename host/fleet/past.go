// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"maps"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// pastLife is how long the sessions of an instance are remembered that discovery has
// withdrawn. A pod whose container was killed comes back within minutes, as what it was.
const pastLife = 30 * time.Minute

// past remembers how many sessions were made with instances whose Conns have left, as the
// restarts of an endpoint belong to its pod and not to the time between two changes
// of its readiness. Fleet.Run's goroutine alone uses it.
type past map[instance]record

// instance is one pod, or whatever else has a fingerprint, at one place.
type instance struct{ id, fingerprint string }

type record struct {
	sessions int
	at       time.Time
}

// of gives the sessions that were made with an endpoint's instance before now.
func (p past) of(e target.Endpoint, now time.Time) int {
	r, ok := p[instance{e.ID, e.Fingerprint}]
	if !ok || now.Sub(r.at) > pastLife {
		return 0
	}
	return r.sessions
}

// keep takes note of a Conn that leaves, or has ended. The one that takes its place may
// have begun before it ends, and have counted on from there.
func (p *past) keep(c *conn.Conn, now time.Time) {
	e, sessions := c.Endpoint(), c.Status().Sessions
	if e.Fingerprint == "" || sessions == 0 {
		return
	}
	if *p == nil {
		*p = make(past)
	}
	maps.DeleteFunc(*p, func(_ instance, r record) bool { return now.Sub(r.at) > pastLife })
	(*p)[instance{e.ID, e.Fingerprint}] = record{max(sessions, p.of(e, now)), now}
}
