// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// unit is one Conn and what the fleet needs to stop it.
type unit struct {
	entry *entry
	conn  *conn.Conn
	seen  *conn.Status // the newest that was told
	leave context.CancelFunc
	begun time.Time
	late  *time.Timer // of a replacement; nil for others
	said  bool        // that this replacement is not ready
}

// stop lets the unit leave: its calls may finish.
func (u *unit) stop() {
	if u.late != nil {
		u.late.Stop()
	}
	u.leave()
}

// entry is one place of discovery, and the instances that serve or served
// there. Run's goroutine alone uses it.
type entry struct {
	fleet    *Fleet
	pool     *Pool
	endpoint target.Endpoint // as discovery described it last
	wanted   bool            // discovery has it, and does not say that it leaves
	listed   bool            // discovery has it
	serving  *unit
	coming   *unit // shall take the place of serving once it is ready
	leaving  []*unit
	shown    *row // what was published last; nil if that is out of date
}

// set takes over what discovery says of the place now.
func (e *entry) set(now target.Endpoint) {
	if e.listed && e.endpoint == now {
		return
	}
	e.endpoint, e.listed, e.wanted = now, true, !now.Draining
	e.touch()
	switch {
	case !e.wanted:
		e.vacate()
	case e.serving == nil:
		e.serving = e.fleet.start(e)
	case e.serving.conn.Endpoint().SameInstance(now):
		e.retire(&e.coming)
	case e.coming != nil && e.coming.conn.Endpoint().SameInstance(now):
	default:
		e.replace()
	}
}

// withdraw takes note that discovery has the place no more.
func (e *entry) withdraw() {
	e.listed, e.wanted = false, false
	e.touch()
	e.vacate()
}

func (e *entry) vacate() {
	e.retire(&e.coming)
	e.retire(&e.serving)
}

// retire lets a unit leave, if there is one.
func (e *entry) retire(u **unit) {
	if *u == nil {
		return
	}
	(*u).stop()
	e.pool.past.keep((*u).conn, time.Now())
	e.leaving = append(e.leaving, *u)
	*u = nil
	e.touch()
}

// replace begins with a new instance: beside the old one if that can serve,
// else in its place.
func (e *entry) replace() {
	e.retire(&e.coming)
	if e.serving.conn.Status().State != conn.Ready {
		e.retire(&e.serving)
		e.serving = e.fleet.start(e)
		return
	}
	// Another attempt of the old one would meet the new instance.
	e.serving.conn.NoRedial()
	u := e.fleet.start(e)
	u.late = time.AfterFunc(e.fleet.opts.ReplaceTimeout, func() { e.fleet.inbox.put(notice{unit: u, late: true}) })
	e.coming = u
}

// notice takes note of what a Conn has told. It gives what should be said of it.
func (e *entry) notice(n notice) []Event {
	u := n.unit
	if n.after != nil {
		u.seen = n.after
	}
	if n.matters() {
		e.touch()
	}
	switch {
	case n.ended:
		e.ended(u)
		return nil
	case u == e.coming && u.seen.State == conn.Ready:
		u.late.Stop()
		e.retire(&e.serving)
		e.serving, e.coming = u, nil
		return []Event{{Type: Replaced}}
	case u == e.coming:
		if s := u.seen; (n.late || s.Permanent) && !u.said {
			u.said = true
			e.touch()
			return []Event{Event{Type: ReplacementFailed}.because(cmp.Or(s.Err, context.DeadlineExceeded))}
		}
		return nil
	case n.after != nil && (u == e.serving || e.listed && e.serving == nil):
		return statusEvents(n)
	}
	return nil
}

// ended fills the place of a unit that has ended.
func (e *entry) ended(u *unit) {
	e.leaving = slices.DeleteFunc(e.leaving, func(o *unit) bool { return o == u })
	if u != e.serving {
		return
	}
	// It was told not to redial, as another was to come.
	e.serving, e.coming = e.coming, nil
	if e.serving != nil {
		e.serving.late.Stop()
	} else if e.wanted {
		e.serving = e.fleet.start(e)
	}
}

// gone reports whether nothing is left of it.
func (e *entry) gone() bool {
	return !e.listed && e.serving == nil && e.coming == nil && len(e.leaving) == 0
}

// doomed reports whether it has failed for good.
func (e *entry) doomed() bool {
	return e.serving != nil && e.serving.seen.Permanent && e.coming == nil
}

// candidate gives its session if that takes calls.
func (e *entry) candidate() (candidate, bool) {
	if e.serving == nil {
		return candidate{}, false
	}
	seen := e.serving.seen
	if seen.Link == nil {
		return candidate{}, false
	}
	dialect := e.fleet.opts.Dialect(seen.Link.Info())
	return candidate{Link: seen.Link, dialect: dialect, zone: e.endpoint.Zone, ejected: seen.Ejected}, true
}

// settled reports whether it stays as it is until something happens to it: it is
// ready, or failed for good, or leaves.
func (e *entry) settled() bool {
	switch {
	case e.serving == nil:
		return true
	case e.coming != nil:
		return e.coming.seen.Permanent
	}
	return e.serving.seen.Link != nil || e.serving.seen.Permanent
}

// touch makes the pool publish the entry anew.
func (e *entry) touch() {
	e.shown = nil
	e.pool.touch()
}

// row is an entry as readers see it. It is not changed once it is published;
// the Conns in it tell their own state.
type row struct {
	endpoint target.Endpoint
	serving  *conn.Conn // nil if it leaves
	coming   *conn.Conn // nil unless it is being replaced
	begun    time.Time  // when coming was started
	late     bool       // coming is not ready in time, or never will be
	leaving  []*conn.Conn
}

func (e *entry) row() *row {
	if e.shown != nil {
		return e.shown
	}
	r := &row{endpoint: e.endpoint}
	if e.serving != nil {
		r.serving = e.serving.conn
	}
	if e.coming != nil {
		r.coming, r.begun, r.late = e.coming.conn, e.coming.begun, e.coming.said
	}
	for _, u := range e.leaving {
		r.leaving = append(r.leaving, u.conn)
	}
	e.shown = r
	return r
}

// status is that of the instance that serves, or what stands for it.
func (r *row) status() *conn.Status {
	if r.serving != nil {
		return r.serving.Status()
	}
	if n := len(r.leaving); n > 0 {
		s := *r.leaving[n-1].Status()
		s.State, s.Link = conn.Shutdown, nil // or will be in a moment
		return &s
	}
	return &conn.Status{State: conn.Shutdown}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
