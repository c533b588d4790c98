// SPDX-License-Identifier: MPL-2.0

package fleet_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/conn/manualdial"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/target"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a Fleet that runs, and all that it depends on.
type rig struct {
	*fleet.Fleet
	t      testing.TB
	dialer *manualdial.Dialer
	sets   chan *discovery.Set
	events *fleet.Subscription
	stop   context.CancelFunc
	ended  chan error // Run's result
}

func options(d conn.Dialer) fleet.Options {
	return fleet.Options{Dialers: map[target.Placement]conn.Dialer{target.Network: d, target.Child: d}}
}

// run starts a Fleet. It is stopped, and must end well, when the test ends.
func run(t testing.TB, edit func(*fleet.Options)) *rig {
	t.Helper()
	r := &rig{t: t, dialer: manualdial.New(), sets: make(chan *discovery.Set), ended: make(chan error, 1)}
	opts := options(r.dialer)
	if edit != nil {
		edit(&opts)
	}
	f, err := fleet.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	r.Fleet = f
	r.events = f.Subscribe(1000)
	ctx, stop := context.WithCancel(t.Context())
	r.stop = stop
	go func() { r.ended <- f.Run(ctx, r.sets) }()
	t.Cleanup(func() {
		stop()
		if err := <-r.ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if n := r.dialer.Open(); n != 0 {
			t.Errorf("%d sessions are open after Run returned", n)
		}
	})
	return r
}

func network(plugin, address string) target.Endpoint {
	return target.Endpoint{ID: target.MakeID(plugin, address), Plugin: plugin, Placement: target.Network, Address: address}
}

func with(e target.Endpoint, f func(*target.Endpoint)) target.Endpoint { f(&e); return e }

func build(e target.Endpoint, fingerprint string) target.Endpoint {
	return with(e, func(e *target.Endpoint) { e.Fingerprint = fingerprint })
}

// find has discovery offer a set in which every source is synced.
func (r *rig) find(endpoints ...target.Endpoint) { r.offer(true, endpoints) }

func (r *rig) offer(synced bool, endpoints []target.Endpoint, declared ...target.Plugin) {
	r.t.Helper()
	set := &discovery.Set{Synced: synced, Endpoints: endpoints, Plugins: declared}
	for _, e := range endpoints {
		if !slices.ContainsFunc(set.Plugins, func(p target.Plugin) bool { return p.Name == e.Plugin }) {
			set.Plugins = append(set.Plugins, target.Plugin{Name: e.Plugin})
		}
	}
	slices.SortFunc(set.Plugins, target.ComparePlugins)
	slices.SortFunc(set.Endpoints, target.CompareEndpoints)
	r.sets <- set
	synctest.Wait()
}

func (r *rig) pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

// pick begins a call that must find an endpoint at once.
func (r *rig) pick(plugin string, tried ...string) balancer.Lease {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	cancel() // waiting is an error
	l, err := r.Pool(plugin).Pick(ctx, "", tried)
	if err != nil {
		r.t.Fatalf("pick %s: %v", plugin, err)
	}
	return l
}

// picked makes calls and gives the endpoints that were used.
func (r *rig) picked(plugin string, calls int) []string {
	r.t.Helper()
	var ids []string
	for range calls {
		l := r.pick(plugin)
		ids = append(ids, l.Endpoint())
		l.Done(balancer.Answered)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// status gives one plugin's state in short: "READY a@h:1; ...".
func (r *rig) status(plugin string) string {
	synctest.Wait()
	s, _ := r.Plugin(plugin)
	var all []string
	for _, e := range s.Endpoints {
		line := e.State.String() + " " + e.Endpoint.ID
		if e.Ejected {
			line += " ejected"
		}
		if e.Replacement != nil {
			line += fmt.Sprintf(" <- %s %s", e.Replacement.State, e.Replacement.Fingerprint)
		}
		all = append(all, line)
	}
	return strings.Join(all, "; ")
}

func (r *rig) wantStatus(reason, plugin, want string) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.status(plugin)); diff != "" {
		r.t.Errorf("%s: status (-want +got)\n%s", reason, diff)
	}
}

// forget makes wantEvents begin from here.
func (r *rig) forget() {
	synctest.Wait()
	r.events.Close()
	r.events = r.Subscribe(1000)
}

// wantEvents checks what happened since the last time.
func (r *rig) wantEvents(reason string, want ...string) {
	r.t.Helper()
	synctest.Wait()
	var got []string
	for len(r.events.C()) > 0 {
		e := <-r.events.C()
		line := strings.TrimSpace(string(e.Type) + " " + e.Endpoint)
		if e.Type == fleet.StateChanged {
			line += " " + e.To.String()
		}
		if e.Cause != "" {
			line += ": " + e.Cause
		}
		got = append(got, line)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("%s: events (-want +got)\n%s", reason, diff)
	}
}

func (r *rig) wantPicked(reason, plugin string, want ...string) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.picked(plugin, 100)); diff != "" {
		r.t.Errorf("%s: picked (-want +got)\n%s", reason, diff)
	}
}
