// SPDX-License-Identifier: MPL-2.0

package skew

import (
	"fmt"
	"strings"
	"testing"

	"github.com/reattach/reattach/test/kit"
)

// counts is what a host says of its calls.
type counts struct {
	Calls, Failed int
	Builds        map[string]int
	Errors        []string
}

// table has what came of the calls of each step of an upgrade.
type table struct {
	t    *testing.T
	rows []string
}

func newTable(t *testing.T) *table {
	return &table{t, []string{"| step | host | calls | answered by old | answered by new | failed |", "|---|---|---:|---:|---:|---:|"}}
}

// add notes a step, and fails the test for calls that failed.
func (a *table) add(step string, host side, c counts) {
	a.t.Helper()
	a.rows = append(a.rows, fmt.Sprintf("| %s | %s | %d | %d | %d | %d |", step, host, c.Calls, c.Builds[string(old)], c.Builds[string(current)], c.Failed))
	if c.Failed > 0 || c.Calls == 0 {
		a.t.Errorf("%s, %s host: %d of %d calls failed: %s", step, host, c.Failed, c.Calls, strings.Join(c.Errors, "\n"))
	}
}

func (a *table) print() { a.t.Helper(); a.t.Log("\n" + strings.Join(a.rows, "\n")) }

// answers waits until a build has answered n calls more of a host's load.
func answers(t *testing.T, h *process, build side, n int) {
	t.Helper()
	var before counts
	h.tell("count", &before)
	kit.Eventually(t, patience, func() error {
		var c counts
		h.tell("count", &c)
		if got := c.Builds[string(build)] - before.Builds[string(build)]; got < n {
			return fmt.Errorf("the plugin of %s has answered %d calls, want %d: %v", build, got, n, c.Errors)
		}
		return nil
	})
}

// enough is how many answers a step waits for.
func enough() int {
	if *all {
		return 1000
	}
	return 100
}

// replicas are two plugins of one host, of which one at a time is replaced.
type replicas struct {
	protocol string
	places   []place
	now      []*process
}

func startReplicas(t *testing.T, s side, protocol string) *replicas {
	r := &replicas{protocol: protocol, places: []place{newPlace(), newPlace()}}
	for _, at := range r.places {
		r.now = append(r.now, network(t, s, protocol, at))
	}
	return r
}

// roll replaces them one by one, as a Deployment does: the next one leaves when the host
// is attached to the one before.
func (r *replicas) roll(t *testing.T, to side, hosts ...*process) {
	t.Helper()
	for _, h := range hosts {
		answers(t, h, other(to), enough())
	}
	for i, at := range r.places {
		r.now[i].end()
		r.now[i] = network(t, to, r.protocol, at)
		for _, h := range hosts {
			attached(t, h, len(r.places))
		}
	}
	for _, h := range hosts {
		answers(t, h, to, enough())
	}
}

// attached waits until n endpoints of a host are ready.
func attached(t *testing.T, h *process, n int) {
	t.Helper()
	kit.Eventually(t, patience, func() error {
		var p struct {
			Endpoints []struct{ State, LastError string }
		}
		h.tell("status", &p)
		ready := 0
		for _, e := range p.Endpoints {
			if e.State == "READY" {
				ready++
			}
		}
		if ready < n {
			return fmt.Errorf("%d endpoints are ready, want %d: %+v", ready, n, p.Endpoints)
		}
		return nil
	})
}

func (h *process) begin() {
	h.t.Helper()
	var calling string
	h.tell("load", &calling)
}

func (h *process) rest() (c counts) {
	h.t.Helper()
	h.tell("rest", &c)
	return c
}

// leave ends a host under its load, and gives what it says of it.
func (h *process) leave() (c counts) {
	h.t.Helper()
	h.terminate()
	h.answer(&c)
	h.end()
	return c
}

// TestRollout upgrades hosts and plugins under calls, in either order, and rolls both back.
func TestRollout(t *testing.T) {
	for _, protocol := range []string{"netrpc", "grpc"} {
		t.Run("plugins first, "+protocol, func(t *testing.T) { pluginsFirst(t, protocol) })
		if *all {
			t.Run("hosts first, "+protocol, func(t *testing.T) { hostsFirst(t, protocol) })
		}
	}
}

func pluginsFirst(t *testing.T, protocol string) {
	a := newTable(t)
	defer a.print()
	plugins := startReplicas(t, old, protocol)
	h := host(t, old, protocol, "", plugins.places...)
	h.begin()
	answers(t, h, old, enough())
	plugins.roll(t, current, h)
	a.add("plugins to new", old, h.rest())

	h = replaceHost(t, a, "host to new", h, current, plugins, current)
	h = replaceHost(t, a, "host back to old", h, old, plugins, current)
	h.begin()
	plugins.roll(t, old, h)
	a.add("plugins back to old", old, h.rest())
}

func hostsFirst(t *testing.T, protocol string) {
	a := newTable(t)
	defer a.print()
	plugins := startReplicas(t, old, protocol)
	h := host(t, old, protocol, "", plugins.places...)
	h = replaceHost(t, a, "host to new", h, current, plugins, old)
	h.begin()
	plugins.roll(t, current, h)
	a.add("plugins to new", current, h.rest())
	h.begin()
	plugins.roll(t, old, h)
	a.add("plugins back to old", current, h.rest())
	replaceHost(t, a, "host back to old", h, old, plugins, old)
}

// replaceHost starts another host beside one that calls, and ends the first when the other
// calls: both have calls in flight.
func replaceHost(t *testing.T, a *table, step string, h *process, to side, plugins *replicas, build side) *process {
	t.Helper()
	h.begin()
	next := host(t, to, plugins.protocol, "", plugins.places...)
	next.begin()
	answers(t, h, build, enough())
	answers(t, next, build, enough())
	a.add(step, other(to), h.leave())
	answers(t, next, build, enough())
	a.add(step, to, next.rest())
	return next
}

// TestChildIsReplaced puts the other build in the place of a child's executable under calls.
func TestChildIsReplaced(t *testing.T) {
	for _, protocol := range []string{"netrpc", "grpc"} {
		for _, s := range []side{old, current} {
			t.Run(fmt.Sprintf("%s host, %s", s, protocol), func(t *testing.T) {
				a := newTable(t)
				defer a.print()
				dir := t.TempDir()
				child(t, old, dir)
				h := host(t, s, protocol, dir)
				for _, to := range []side{current, old} {
					h.begin()
					answers(t, h, other(to), enough())
					child(t, to, dir)
					answers(t, h, to, enough())
					a.add("child to "+string(to), s, h.rest())
				}
			})
		}
	}
}

func other(s side) side {
	if s == old {
		return current
	}
	return old
}
