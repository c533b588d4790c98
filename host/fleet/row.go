// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// row is an entry as readers see it. It is not changed once it is published;
// the Conns in it tell their own state.
type row struct {
	endpoint target.Endpoint
	serving  *conn.Conn // nil if it leaves
	coming   *conn.Conn // nil unless it is being replaced
	late     bool       // coming is not ready in time, or never will be
	leaving  []*conn.Conn
}

func (e *entry) row() row {
	r := row{endpoint: e.endpoint}
	if e.serving != nil {
		r.serving = e.serving.conn
	}
	if e.coming != nil {
		r.coming, r.late = e.coming.conn, e.coming.told
	}
	for _, i := range e.leaving {
		r.leaving = append(r.leaving, i.conn)
	}
	return r
}

// status is that of the instance that serves, or what stands for it.
func (r row) status() *conn.Status {
	if r.serving != nil {
		return r.serving.Status()
	}
	if n := len(r.leaving); n > 0 {
		s := *r.leaving[n-1].Status()
		s.State, s.Link = conn.Shutdown, nil // or soon will be
		return &s
	}
	return &conn.Status{State: conn.Shutdown}
}

func (r row) show() EndpointStatus {
	s := r.status()
	e := EndpointStatus{
		Endpoint: r.endpoint, State: s.State, Since: s.Since, UnreadySince: s.UnreadySince, Ejected: s.Ejected,
		LastError: text(s.Err), LastErrorTime: s.ErrTime, Permanent: s.Permanent, Failures: s.Failures, Restarts: s.Restarts(),
		NextAttempt: s.NextAttempt, Warning: text(s.Warning), Info: s.Info,
	}
	for _, c := range r.leaving {
		e.InFlight += c.InFlight()
	}
	if r.serving != nil {
		e.InFlight += r.serving.InFlight()
	}
	if r.coming != nil {
		c := r.coming.Status()
		e.Replacement = &Replacement{
			Fingerprint: r.coming.Endpoint().Fingerprint, State: c.State, LastError: text(c.Err), Late: r.late,
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
