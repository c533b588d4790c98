// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"slices"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// row is an entry as readers see it. It is not changed once it is published;
// the instances in it show their own state.
type row struct {
	endpoint target.Endpoint
	serving  *instance // nil if it leaves
	coming   *instance // nil unless it is being replaced
	late     bool      // coming is not ready in time, or never will be
	leaving  []*instance
	left     time.Time // when the last of leaving was told to
}

func (e *entry) row() row {
	r := row{endpoint: e.endpoint, serving: e.serving, coming: e.coming, leaving: slices.Clone(e.leaving)}
	if e.coming != nil {
		r.late = e.coming.told
	}
	if n := len(e.leaving); n > 0 {
		r.left = e.leaving[n-1].left
	}
	return r
}

// status is that of the instance that serves, or what stands for it.
func (r row) status() *conn.Status {
	if r.serving != nil {
		return r.serving.shown.Load()
	}
	if n := len(r.leaving); n > 0 {
		s := *r.leaving[n-1].shown.Load()
		if s.State != conn.Shutdown { // it soon will be
			s.State, s.Since, s.Link = conn.Shutdown, r.left, nil
			if s.UnreadySince.IsZero() {
				s.UnreadySince = r.left
			}
		}
		return &s
	}
	return &conn.Status{State: conn.Shutdown}
}

func (r row) show() EndpointStatus {
	s := r.status()
	e := EndpointStatus{
		Endpoint: r.endpoint, State: s.State, Since: s.Since, UnreadySince: s.UnreadySince, Ejected: s.Ejected,
		LastError: text(s.Err), LastErrorTime: s.ErrTime, Permanent: s.Permanent, Departure: s.Departure, Failures: s.Failures, Restarts: s.Restarts(),
		NextAttempt: s.NextAttempt, Warning: text(s.Warning), Info: s.Info,
	}
	for _, i := range r.leaving {
		e.InFlight += i.conn.InFlight()
	}
	if r.serving != nil {
		e.InFlight += r.serving.conn.InFlight()
	}
	if r.coming != nil {
		c := r.coming.shown.Load()
		e.Replacement = &Replacement{
			Fingerprint: r.coming.conn.Endpoint().Fingerprint, State: c.State, LastError: text(c.Err), Late: r.late,
		}
	}
	return e
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
