// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// entry is one place of discovery, and the instances that serve or served
// there. Run's goroutine alone uses it.
type entry struct {
	fleet    *Fleet
	pool     *Pool
	endpoint target.Endpoint // as discovery described it last
	wanted   bool            // discovery has it, and does not say that it leaves
	listed   bool            // discovery has it
	serving  *instance
	coming   *instance // shall take the place of serving once it is ready
	leaving  []*instance
}

// set takes over what discovery says of the place now.
func (e *entry) set(now target.Endpoint) {
	if e.listed && e.endpoint == now {
		return
	}
	e.endpoint, e.listed, e.wanted = now, true, !now.Draining
	e.pool.touch()
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
	e.pool.touch()
	e.vacate()
}

func (e *entry) vacate() {
	e.retire(&e.coming)
	e.retire(&e.serving)
}

// retire lets an instance leave, if there is one.
func (e *entry) retire(at **instance) {
	i := *at
	if i == nil {
		return
	}
	i.stop()
	e.pool.past.keep(i.conn, time.Now())
	e.leaving = append(e.leaving, i)
	*at = nil
	e.pool.touch()
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
	i := e.fleet.start(e)
	i.late = time.AfterFunc(e.fleet.opts.ReplaceTimeout, func() { e.fleet.inbox.put(notice{instance: i, late: true}) })
	e.coming = i
}

// notice takes note of what a Conn has told. It gives what should be said of it.
func (e *entry) notice(n notice) []Event {
	i := n.instance
	if n.after != nil {
		i.seen = n.after
		e.fleet.seen = append(e.fleet.seen, i)
	}
	if n.matters() {
		e.pool.touch()
	}
	switch {
	case n.ended:
		e.ended(i)
		return nil
	case i == e.coming && i.seen.State == conn.Ready:
		i.late.Stop()
		e.retire(&e.serving)
		e.serving, e.coming = i, nil
		return []Event{{Type: Replaced}}
	case i == e.coming:
		if s := i.seen; (n.late || s.Permanent) && !i.told {
			i.told = true
			e.pool.touch()
			return []Event{Event{Type: ReplacementFailed}.because(cmp.Or(s.Err, context.DeadlineExceeded))}
		}
		return nil
	case n.after != nil && (i == e.serving || e.listed && e.serving == nil):
		return statusEvents(n)
	}
	return nil
}

// ended fills the place of an instance that has ended.
func (e *entry) ended(i *instance) {
	e.leaving = slices.DeleteFunc(e.leaving, func(o *instance) bool { return o == i })
	if i != e.serving {
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

// isEmpty reports whether nothing is left of it.
func (e *entry) isEmpty() bool {
	return !e.listed && e.serving == nil && e.coming == nil && len(e.leaving) == 0
}

// isPermanent reports whether it has failed for good.
func (e *entry) isPermanent() bool {
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
	at := balancer.Candidate[*conn.Link]{Value: seen.Link, Zone: e.endpoint.Zone, ForZones: e.endpoint.ForZones, ForNodes: e.endpoint.ForNodes}
	return candidate{Candidate: at, dialect: dialect, ejected: seen.Ejected}, true
}

// isSettled reports whether it stays as it is until something happens to it: it is
// ready, or failed for good, or leaves.
func (e *entry) isSettled() bool {
	switch {
	case e.serving == nil:
		return true
	case e.coming != nil:
		return e.coming.seen.Permanent
	}
	return e.serving.seen.Link != nil || e.serving.seen.Permanent
}
