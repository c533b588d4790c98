// SPDX-License-Identifier: MPL-2.0

package sourcetest

import (
	"context"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/target"
)

func (x *subject) firstUpdateIsWhole() {
	want := []string{x.world.Add(0), x.world.Add(1), x.world.Add(2)}
	slices.Sort(want)
	rec, stop := x.start()
	rec.await(x.T, "a first Update", func() bool { return rec.updates > 0 })
	stop()
	if diff := cmp.Diff(want, idsOf(rec.first)); diff != "" {
		x.Errorf("endpoints of the first Update (-want +got)\n%s", diff)
	}
}

func (x *subject) nothingIsAState() {
	rec, stop := x.start()
	rec.awaitIDs(x.T, "an Update although there is nothing")
	stop()
}

func (x *subject) changesArrive() {
	a := x.world.Add(0)
	rec, stop := x.startWith(a)
	b := x.world.Add(1)
	rec.awaitIDs(x.T, "one came", a, b)
	x.world.Remove(0)
	rec.awaitIDs(x.T, "one left", b)
	x.world.Remove(1)
	rec.awaitIDs(x.T, "all left")
	x.world.Add(0)
	rec.awaitIDs(x.T, "one came back", a)
	stop()
}

func (x *subject) replacement() {
	world, ok := x.world.(Replacer)
	if !ok {
		x.Skip("this source cannot tell one instance from another")
	}
	a, b := x.world.Add(0), x.world.Add(1)
	rec, stop := x.startWith(a, b)
	var oldA, oldB, nowA, nowB target.Endpoint
	rec.await(x.T, "both", func() bool { oldA, oldB = rec.endpoint(a), rec.endpoint(b); return true })
	world.Replace(0)
	rec.await(x.T, "another fingerprint", func() bool {
		nowA, nowB = rec.endpoint(a), rec.endpoint(b)
		return nowA.ID == a && nowA.Fingerprint != oldA.Fingerprint
	})
	if oldA.Fingerprint == "" || nowA.Fingerprint == "" {
		x.Errorf("fingerprints %q, then %q: neither may be empty", oldA.Fingerprint, nowA.Fingerprint)
	}
	if nowA.SameInstance(oldA) {
		x.Errorf("the replaced endpoint counts as the same instance: %+v", nowA)
	}
	if diff := cmp.Diff(oldB, nowB); diff != "" {
		x.Errorf("the other endpoint changed as well (-want +got)\n%s", diff)
	}
	stop()
}

func (x *subject) slowSink() {
	a := x.world.Add(0)
	rec, stop := x.startWith(a)
	var b string
	release := rec.hold(x.T, func() {
		b = x.world.Add(1)
		x.world.Remove(0)
		x.world.Add(2)
		x.world.Remove(2)
	})
	release()
	rec.awaitIDs(x.T, "the newest state, whatever was skipped", b)
	stop()
}

func (x *subject) endsWithContext() {
	x.world.Add(0)
	_, stop := x.start()
	stop() // most likely before the first state
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	rec := x.record()
	if err := x.world.Source().Run(ctx, rec); err != nil {
		x.Errorf("Run with a context that had ended returned %v, want nil", err)
	}
	rec.end()
}

func (x *subject) endsWhileSlow() {
	a := x.world.Add(0)
	rec, stop := x.startWith(a)
	release := rec.hold(x.T, func() { x.world.Remove(0) })
	go release()
	stop()
}

func (x *subject) nothingAfterEnd() {
	a := x.world.Add(0)
	_, stop := x.startWith(a)
	stop()
	x.world.Add(1)
	x.world.Remove(0)
	if r, ok := x.world.Source().(discovery.Refresher); ok {
		r.Refresh()
	}
	// runCase now checks that no goroutine is left that could send, and the recorder
	// has noted what came after the end.
}

func (x *subject) runsAgain() {
	a := x.world.Add(0)
	_, stopFirst := x.startWith(a)
	stopFirst()
	b := x.world.Add(1)
	x.world.Remove(0)
	rec, stop := x.start()
	rec.await(x.T, "a first Update of the second run", func() bool { return rec.updates > 0 })
	rec.awaitIDs(x.T, "the state as it is now", b)
	stop()
	if diff := cmp.Diff([]string{b}, idsOf(rec.first)); diff != "" {
		x.Errorf("endpoints of the second run's first Update (-want +got)\n%s", diff)
	}
}

func (x *subject) outage() {
	world, ok := x.world.(Breaker)
	if !ok {
		x.Skip("this source cannot lose sight of its subject")
	}
	a := x.world.Add(0)
	rec, stop := x.startWith(a)
	blind := func() bool { return rec.lastError != nil || len(rec.problems()) > 0 }
	world.Break()
	rec.await(x.T, "a report of the outage", blind)
	rec.awaitIDs(x.T, "the last good state during the outage", a)
	b := x.world.Add(1)
	world.Mend()
	rec.awaitIDs(x.T, "what changed meanwhile", a, b)
	rec.await(x.T, "the end of the outage", func() bool { return !blind() })
	stop()
}

func (x *subject) refresh() {
	r, ok := x.world.Source().(discovery.Refresher)
	if !ok {
		x.Skip("this source has no Refresh")
	}
	r.Refresh()
	a := x.world.Add(0)
	rec, stop := x.startWith(a)
	b := x.world.Add(1)
	for range 100 {
		r.Refresh()
	}
	rec.awaitIDs(x.T, "state after Refresh", a, b)
	stop()
	r.Refresh()
}

func (x *subject) name() {
	before := x.world.Source().Name()
	x.world.Add(0)
	if now := x.world.Source().Name(); before == "" || now != before {
		x.Errorf("name is %q, then %q", before, now)
	}
}

func (x *subject) manager() {
	a, b := x.world.Add(0), x.world.Add(1)
	m, err := discovery.NewManager(discovery.Options{Sources: []discovery.Source{x.world.Source()}})
	if err != nil {
		x.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), x.patience)
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	if err := m.WaitSynced(ctx); err != nil {
		x.Error(err)
	}
	want := []string{a, b}
	slices.Sort(want)
	var got []string
	for _, e := range m.Current().Endpoints {
		got = append(got, e.ID)
		if e.Source != x.world.Source().Name() {
			x.Errorf("endpoint %s says it is from source %q", e.ID, e.Source)
		}
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		x.Errorf("endpoints of the first synced set (-want +got)\n%s", diff)
	}
	if s := m.Status()[0]; s.Errors != 0 || s.LastError != nil {
		x.Errorf("the manager counted errors: %+v", s)
	}
	cancel()
	if err := <-ended; err != nil {
		x.Error(err)
	}
}
