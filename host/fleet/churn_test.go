// SPDX-License-Identifier: MPL-2.0

package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/conn/manualdial"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/target"
)

// churn changes what callers depend on, at random.
type churn struct {
	*rig
	all   []target.Endpoint
	build int
}

// step makes one change. The first endpoint is always offered, so that there
// is somewhere to go.
func (c *churn) step(ctx context.Context) {
	id := c.all[rand.IntN(len(c.all))].ID
	switch rand.IntN(4) {
	case 0:
		if s := c.dialer.Session(id); s != nil {
			s.End(errors.New("killed"))
		}
	case 1:
		if s := c.dialer.Session(id); s != nil {
			s.Drain()
		}
	default:
		set := &discovery.Set{Synced: true, Plugins: []target.Plugin{{Name: "zh"}}}
		c.build++
		for i, e := range c.all {
			if i == 0 || rand.IntN(3) > 0 {
				e.Fingerprint = fmt.Sprint((c.build + i) / 8)
				e.Draining = i > 0 && rand.IntN(8) == 0
				set.Endpoints = append(set.Endpoints, e)
			}
		}
		select {
		case c.sets <- set:
		case <-ctx.Done():
		}
	}
}

// TestChurn calls while endpoints come, go, die, drain and are replaced, until enough of
// both has happened.
func TestChurn(t *testing.T) {
	const callers, enoughChanges, enoughCalls = 64, 100, 10_000
	r := run(t, func(o *fleet.Options) {
		o.Conn.Backoff = conn.Backoff{Min: time.Millisecond, Max: 4 * time.Millisecond}
	})
	c := churn{rig: r}
	for i := range 12 {
		c.all = append(c.all, network("zh", fmt.Sprintf("h:%d", i+1)))
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	r.sets <- &discovery.Set{Synced: true, Endpoints: c.all, Plugins: []target.Plugin{{Name: "zh"}}}
	var calls, lost, changes atomic.Int64
	var wg sync.WaitGroup
	wg.Go(func() {
		defer stop()
		for ctx.Err() == nil && (changes.Load() < enoughChanges || calls.Load() < enoughCalls) {
			c.step(ctx)
			changes.Add(1)
			l, err := r.Pool("zh").Ready(ctx, "") // pace: somebody must be able to call in between
			if err != nil && ctx.Err() == nil {
				t.Errorf("Ready: %v, %v", l, err)
			}
		}
	})
	for range callers {
		wg.Go(func() {
			for ctx.Err() == nil {
				if ended := call(ctx, t, r.Pool("zh")); ended {
					lost.Add(1)
				}
				calls.Add(1)
			}
		})
	}
	wg.Wait()
	t.Logf("%d calls, of which %d lost their session, %d changes", calls.Load(), lost.Load(), changes.Load())
	if calls.Load() < enoughCalls || changes.Load() < enoughChanges {
		t.Errorf("%d calls and %d changes show nothing", calls.Load(), changes.Load())
	}
	for _, p := range r.View().Plugins {
		if p.Waiting != 0 {
			t.Errorf("%d calls still wait", p.Waiting)
		}
		for _, e := range p.Endpoints {
			if e.InFlight != 0 {
				t.Errorf("%s: %d calls in flight after all are done", e.Endpoint.ID, e.InFlight)
			}
		}
	}
}

// call makes one call. It reports whether the session ended under it.
func call(ctx context.Context, t *testing.T, pool *fleet.Pool) (ended bool) {
	l, err := pool.Pick(ctx, "netrpc", nil)
	if err != nil {
		if ctx.Err() == nil {
			t.Errorf("pick: %v", err)
		}
		return false
	}
	s := l.Session().(*manualdial.Session)
	if s.Closed() && s.Err() == manualdial.ErrClosed {
		// A fleet may close a session under a call only after DrainTimeout.
		t.Errorf("%s: a closed session was picked", l.Endpoint())
	}
	for range rand.IntN(4) {
		if err := s.Ping(ctx); errors.Is(err, manualdial.ErrClosed) {
			t.Errorf("%s: the session was closed under a call", l.Endpoint())
		}
	}
	select {
	case <-l.Ended():
		l.Done(balancer.Lost)
		return true
	default:
		l.Done(balancer.Answered)
		return false
	}
}

// TestPickPassesOverWhatHasJustEnded checks that nobody waits for a Conn to
// notice while other endpoints are ready.
func TestPickPassesOverWhatHasJustEnded(t *testing.T) {
	r := run(t, func(o *fleet.Options) { o.Conn.Backoff = conn.Backoff{Min: time.Millisecond, Max: time.Millisecond} })
	r.grow(3, "zh")
	// States are live; what is picked from is published a moment later. The
	// endpoint that stays has to be there first.
	for stays := false; !stays; {
		l, err := r.Pool("zh").Pick(t.Context(), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		stays = l.Endpoint() == "zh@10.0.0.0:7000"
		l.Done(balancer.Answered)
	}
	for range 200 {
		r.dialer.Session("zh@10.0.0.1:7000").End(errors.New("killed"))
		r.dialer.Session("zh@10.0.0.2:7000").End(errors.New("killed"))
		for range 3 {
			r.pick("zh").Done(balancer.Answered)
		}
		r.await(func(v fleet.View) bool { return ready(v) == 3 })
	}
}

// TestEndedSessionIsNeverPicked checks the moment at which no Conn has noticed
// yet: whoever knows that a session has ended must not be sent there.
func TestEndedSessionIsNeverPicked(t *testing.T) {
	r := run(t, func(o *fleet.Options) { o.Conn.Backoff = conn.Backoff{Min: time.Millisecond, Max: time.Millisecond} })
	r.sets <- &discovery.Set{Synced: true, Endpoints: []target.Endpoint{zh1, zh2}, Plugins: []target.Plugin{{Name: "zh"}}}
	for i := range 2000 {
		l, err := r.Pool("zh").Pick(t.Context(), "netrpc", nil)
		if err != nil {
			t.Fatal(err)
		}
		s := l.Session().(*manualdial.Session)
		l.Done(balancer.Answered)
		if i%2 == 0 {
			s.Drain()
		} else {
			s.End(errors.New("killed"))
		}
		for range 3 {
			l, err := r.Pool("zh").Pick(t.Context(), "netrpc", nil)
			if err != nil {
				t.Fatal(err)
			}
			if l.Session() == any(s) {
				t.Fatalf("%s was picked after its session had ended", l.Endpoint())
			}
			l.Done(balancer.Answered)
		}
	}
}
