// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"maps"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// countLife is how long the sessions of an instance are remembered that discovery has
// withdrawn. A pod whose container was killed comes back within minutes, as what it was.
const countLife = 30 * time.Minute

// sessionCounts says how many sessions were made with instances whose Conns have left, as the
// restarts of an endpoint belong to its pod and not to the time between two changes
// of its readiness. Fleet.Run's goroutine alone uses it.
type sessionCounts map[identity]sessionCount

// identity is of one pod, or whatever else has a fingerprint, at one place.
type identity struct{ id, fingerprint string }

type sessionCount struct {
	sessions int
	at       time.Time
}

// of gives the sessions that were made with an endpoint's instance before now.
func (c sessionCounts) of(e target.Endpoint, now time.Time) int {
	r, ok := c[identity{e.ID, e.Fingerprint}]
	if !ok || now.Sub(r.at) > countLife {
		return 0
	}
	return r.sessions
}

// keep takes note of a Conn that leaves, or has ended. The one that takes its place may
// have begun before it ends, and have counted on from there.
func (c sessionCounts) keep(ended *conn.Conn, now time.Time) {
	e, sessions := ended.Endpoint(), ended.Status().Sessions
	if e.Fingerprint == "" || sessions == 0 {
		return
	}
	maps.DeleteFunc(c, func(_ identity, s sessionCount) bool { return now.Sub(s.at) > countLife })
	c[identity{e.ID, e.Fingerprint}] = sessionCount{max(sessions, c.of(e, now)), now}
}
