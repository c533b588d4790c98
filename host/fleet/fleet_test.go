// SPDX-License-Identifier: MPL-2.0

package fleet_test

import (
	"context"
	"errors"
	"fmt"
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
)

func TestFollowsDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.find(zh1)
		r.wantEvents("from nothing", "found zh@h:1", "state zh@h:1 CONNECTING", "state zh@h:1 READY", "plugin-ready")
		r.find(zh1, zh2)
		r.wantEvents("one more", "found zh@h:2", "state zh@h:2 CONNECTING", "state zh@h:2 READY")
		r.wantStatus("both", "zh", "READY zh@h:1; READY zh@h:2")
		l := r.pick("zh", "zh@h:2")
		r.find(zh2, zh3)
		r.wantStatus("one goes, with its call, and one comes", "zh", "SHUTDOWN zh@h:1; READY zh@h:2; READY zh@h:3")
		r.wantPicked("only those that discovery has", "zh", "zh@h:2", "zh@h:3")
		l.Done(balancer.Answered)
		r.wantStatus("gone", "zh", "READY zh@h:2; READY zh@h:3")
		r.find(zh2)
		r.wantEvents("in the order of what happened", "found zh@h:3", "withdrawn zh@h:1",
			"state zh@h:3 CONNECTING", "state zh@h:3 READY", "withdrawn zh@h:3")
		if n := r.dialer.Dials("zh@h:2"); n != 1 {
			t.Errorf("%d dials of the endpoint that did not change", n)
		}
		r.find()
		if _, ok := r.Plugin("zh"); ok || len(r.View().Plugins) != 0 {
			t.Errorf("the plugin is still there: %v", r.View().Plugins)
		}
	})
}

func TestEndpointComesBackWhileItDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.find(zh1)
		l := r.pick("zh")
		r.find()
		r.wantStatus("withdrawn with a call", "zh", "SHUTDOWN zh@h:1")
		r.find(zh1)
		r.wantStatus("it need not wait for the call", "zh", "READY zh@h:1")
		first := r.dialer.Sessions("zh@h:1")[0]
		if first.Closed() {
			t.Error("the call's session was closed")
		}
		if s, _ := r.Plugin("zh"); s.Endpoints[0].InFlight != 1 {
			t.Errorf("%d in flight", s.Endpoints[0].InFlight)
		}
		l.Done(balancer.Answered)
		synctest.Wait()
		if !first.Closed() {
			t.Error("the first session was not closed")
		}
	})
}

// TestSinceOfAPluginThatIsGone: a plugin that nobody knows any more has been without a ready
// endpoint since it was withdrawn, whatever of it ends afterwards.
func TestSinceOfAPluginThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.find(zh1, zh2)
		short, long := r.pick("zh", "zh@h:2"), r.pick("zh", "zh@h:1")
		r.pass(time.Minute)
		r.find()
		withdrawn := time.Now()
		r.pass(time.Second)
		short.Done(balancer.Answered)
		r.wantStatus("one call goes on", "zh", "SHUTDOWN zh@h:2")
		if s, _ := r.Plugin("zh"); !s.Since.Equal(withdrawn) {
			t.Errorf("withdrawn at %s, and not ready since %s", withdrawn, s.Since)
		}
		long.Done(balancer.Answered)
	})
}

// TestLeavingSince holds that an endpoint leaves since it was told to, also while a View is
// taken before its Conn has taken note.
func TestLeavingSince(t *testing.T) {
	r := run(t, nil)
	for n := range 50 {
		e := network("zh", fmt.Sprintf("h:%d", n+1))
		set := func(draining bool) *discovery.Set {
			return &discovery.Set{Synced: true, Plugins: []target.Plugin{{Name: "zh"}},
				Endpoints: []target.Endpoint{with(e, func(e *target.Endpoint) { e.Draining = draining })}}
		}
		r.sets <- set(false)
		l, err := r.Pool("zh").Pick(t.Context(), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		told := time.Now()
		r.sets <- set(true)
		for left := false; !left; {
			s, _ := r.Plugin("zh")
			for _, shown := range s.Endpoints {
				left = left || shown.State == conn.Shutdown && shown.Endpoint.ID == e.ID
				if left && shown.Endpoint.ID == e.ID && (shown.Since.Before(told) || shown.UnreadySince.Before(told)) {
					t.Fatalf("told to leave at %s, and leaves since %s, unready since %s", told, shown.Since, shown.UnreadySince)
				}
			}
		}
		l.Done(balancer.Answered)
	}
}

func TestDiscoverySaysThatItLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.find(zh1, zh2)
		l := r.pick("zh", "zh@h:2")
		r.forget()
		drains := with(zh1, func(e *target.Endpoint) { e.Draining = true })
		r.find(drains, zh2)
		r.wantStatus("listed still", "zh", "SHUTDOWN zh@h:1; READY zh@h:2")
		r.wantEvents("said", "state zh@h:1 SHUTDOWN")
		l.Done(balancer.Answered)
		r.pass(time.Hour)
		r.wantStatus("not dialled again", "zh", "SHUTDOWN zh@h:1; READY zh@h:2")
		if n := r.dialer.Dials("zh@h:1"); n != 1 {
			t.Errorf("%d dials", n)
		}
		r.find(zh1, zh2)
		r.wantStatus("it stays after all", "zh", "READY zh@h:1; READY zh@h:2")
	})
}

func TestReplace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		old, fresh := build(zh1, "1"), build(zh1, "2")
		r.find(old)
		l := r.pick("zh")
		first := r.dialer.Session("zh@h:1")
		r.forget()
		r.dialer.Default(manualdial.Script{Hold: true})
		r.find(fresh)
		r.wantStatus("the new one must be ready first", "zh", "READY zh@h:1 <- CONNECTING 2")
		if got := r.pick("zh"); got.Session() != any(first) {
			t.Error("the old one does not serve any more")
		} else {
			got.Done(balancer.Answered)
		}
		r.dialer.Default(manualdial.Script{})
		r.wantStatus("then it serves", "zh", "READY zh@h:1")
		r.wantEvents("and one of them was ready all the time", "replaced zh@h:1")
		second := r.pick("zh")
		if second.Session() == any(first) || first.Closed() {
			t.Errorf("the old one is picked: %v, closed under its call: %v", second.Session() == any(first), first.Closed())
		}
		second.Done(balancer.Answered)
		l.Done(balancer.Answered)
		synctest.Wait()
		if !first.Closed() {
			t.Error("the old one was not closed")
		}
	})
}

func TestReplacementIsNotReady(t *testing.T) {
	cases := map[string]struct {
		reason string
		script manualdial.Script
		after  time.Duration
		status string
		event  string
	}{
		"Slow":      {"it may come yet", manualdial.Script{Err: errors.New("exit status 1")}, time.Minute, "READY zh@h:1 <- TRANSIENT_FAILURE 2", "replacement-failed zh@h:1: exit status 1"},
		"Permanent": {"it will not", manualdial.Script{Err: conn.Permanent(errors.New("no plugin"))}, 0, "READY zh@h:1 <- TRANSIENT_FAILURE 2", "replacement-failed zh@h:1: no plugin"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, nil)
				r.find(build(zh1, "1"))
				r.forget()
				r.dialer.Default(tc.script)
				r.find(build(zh1, "2"))
				r.pass(tc.after)
				r.wantStatus(tc.reason, "zh", tc.status)
				r.wantEvents(tc.reason, tc.event)
				r.wantPicked("the old one goes on", "zh", "zh@h:1")
				if s, _ := r.Plugin("zh"); !s.Endpoints[0].Replacement.Late {
					t.Errorf("%s: the status does not say so", tc.reason)
				}
				r.pass(time.Hour)
				r.wantEvents("once is enough")

				r.dialer.Default(manualdial.Script{})
				r.find(build(zh1, "3"))
				r.wantStatus("another build takes its place", "zh", "READY zh@h:1")
				r.wantEvents("at last", "replaced zh@h:1")
			})
		})
	}
}

func TestOldInstanceEndsBeforeTheNewOneIsReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.find(build(zh1, "1"))
		r.dialer.Default(manualdial.Script{Hold: true})
		r.find(build(zh1, "2"))
		r.dialer.Sessions("zh@h:1")[0].End(errors.New("gone"))
		r.wantStatus("the new one is all there is", "zh", "CONNECTING zh@h:1")
		if n := r.dialer.Dials("zh@h:1"); n != 2 {
			t.Errorf("%d dials: the old one would meet the new instance", n)
		}
		r.dialer.Default(manualdial.Script{})
		r.wantStatus("ready", "zh", "READY zh@h:1")
	})
}

func TestReplacementIsCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.find(build(zh1, "1"))
		r.dialer.Default(manualdial.Script{Hold: true})
		r.find(build(zh1, "2"))
		r.find(build(zh1, "1"))
		r.wantStatus("as it was", "zh", "READY zh@h:1")
		r.dialer.Default(manualdial.Script{})
		r.dialer.Session("zh@h:1").End(errors.New("gone"))
		r.pass(time.Second)
		r.wantStatus("and it is attached again", "zh", "READY zh@h:1")
	})
}

func TestInstanceThatIsNotReadyIsReplacedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.dialer.Default(manualdial.Script{Err: conn.Permanent(errors.New("version 9 is not ours"))})
		r.find(build(zh1, "1"))
		r.wantStatus("for good", "zh", "TRANSIENT_FAILURE zh@h:1")
		r.dialer.Default(manualdial.Script{})
		r.find(build(zh1, "2"))
		r.wantStatus("until the fingerprint changes", "zh", "READY zh@h:1")
	})
}

func TestView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(o *fleet.Options) {
			o.Conn.Check = func(target.Endpoint, conn.Info) error { return errors.New("Hi is missing") }
		})
		r.dialer.Set("zh@h:2", manualdial.Script{Err: errors.New("refused")})
		at := time.Now()
		r.offer(true, []target.Endpoint{zh1, zh2}, target.Plugin{Name: "en", Required: true}, target.Plugin{Name: "zh"})
		l := r.pick("zh")
		got := r.View()
		next := got.Plugins[1].Endpoints[1].NextAttempt
		want := fleet.View{Generation: got.Generation, Synced: true, Plugins: []fleet.PluginStatus{
			{Name: "en", Required: true, Known: true, Since: at, Endpoints: []fleet.EndpointStatus{}},
			{Name: "zh", Known: true, Ready: 1, Since: at, Endpoints: []fleet.EndpointStatus{
				{Endpoint: zh1, State: conn.Ready, Since: at, InFlight: 1, Warning: "Hi is missing", Info: conn.Info{Protocol: "netrpc"}},
				{Endpoint: zh2, State: conn.TransientFailure, Since: at, UnreadySince: at, LastError: "refused", LastErrorTime: at, Failures: 1, NextAttempt: next},
			}},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		l.Done(balancer.Answered)
		time.Sleep(time.Second)
		r.offer(true, []target.Endpoint{zh1, zh2}, target.Plugin{Name: "zh", Required: true})
		if s, _ := r.Plugin("zh"); !s.Required || !s.Since.Equal(at) {
			t.Errorf("required %v since %s: want a change of what is required, and of nothing else", s.Required, s.Since)
		}
		if s, ok := r.Plugin("en"); ok {
			t.Errorf("en is known still: %+v", s)
		}
	})
}

func TestObserveIsCalledToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		r := run(t, func(o *fleet.Options) {
			o.Conn.Observe = func(c *conn.Conn, before, after *conn.Status) {
				told = append(told, fmt.Sprint(c.Endpoint().ID, " ", before.State, " ", after.State))
			}
		})
		r.find(zh1)
		want := []string{"zh@h:1 IDLE CONNECTING", "zh@h:1 CONNECTING READY"}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		v, err := r.Wait(t.Context(), 0)
		if err != nil || len(v.Plugins) != 0 {
			t.Fatalf("the first view: %+v, %v", v, err)
		}
		r.dialer.Default(manualdial.Script{Hold: true})
		r.find(zh1)
		r.dialer.Default(manualdial.Script{})
		synctest.Wait()
		if v, err = r.Wait(t.Context(), v.Generation); err != nil || v.Plugins[0].Ready != 1 {
			t.Fatalf("a slow reader gets the newest: %+v, %v", v, err)
		}
		got := make(chan fleet.View)
		go func() {
			v, _ := r.Wait(t.Context(), v.Generation)
			got <- v
		}()
		r.dialer.Session("zh@h:1").End(errors.New("gone"))
		if v := <-got; v.Plugins[0].Ready != 0 {
			t.Errorf("%d ready", v.Plugins[0].Ready)
		}
		r.pass(time.Minute) // until its one failure is forgiven
		last := r.View().Generation
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := r.Wait(ctx, last); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nothing changes in an hour of pings, but Wait gives %v", err)
		}
	})
}

func TestSubscriptionDropsWhatDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		s, slow := r.Subscribe(2), r.Subscribe(2)
		defer slow.Close()
		r.find(zh1)
		if len(s.C()) != 2 || s.Dropped() != 2 {
			t.Errorf("%d events, %d dropped; want found and connecting, and two dropped", len(s.C()), s.Dropped())
		}
		s.Close()
		s.Close()
		for range 2 {
			<-s.C()
		}
		if _, open := <-s.C(); open {
			t.Error("not closed")
		}
		if !slow.CatchUp() || len(slow.C()) != 0 || slow.CatchUp() {
			t.Errorf("a reader that has missed two events has to look once, and still gets %d of before", len(slow.C()))
		}
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.find(zh1, zh2)
		l := r.pick("zh", "zh@h:2")
		r.stop()
		synctest.Wait()
		if !r.dialer.Session("zh@h:2").Closed() || r.dialer.Session("zh@h:1").Closed() {
			t.Error("the idle session should be closed, and the one with a call not")
		}
		r.wantStatus("all leave", "zh", "SHUTDOWN zh@h:1; SHUTDOWN zh@h:2")
		l.Done(balancer.Answered)
		r.ended <- <-r.ended
		if _, err := r.Wait(t.Context(), r.View().Generation); !errors.Is(err, fleet.ErrShutdown) {
			t.Errorf("Wait after Run: %v", err)
		}
		for range r.Subscribe(1).C() {
			t.Error("an event after Run")
		}
	})
}

func TestShutdownIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(o *fleet.Options) { o.DrainTimeout, o.CloseTimeout = 5*time.Second, 3*time.Second })
		r.find(zh1, zh2, zh3)
		stuck := []balancer.Lease{r.pick("zh", "zh@h:1", "zh@h:2"), r.pick("zh", "zh@h:1", "zh@h:3")}
		release := r.dialer.Session("zh@h:2").HoldClose()
		at := time.Now()
		r.stop()
		err := <-r.ended
		if diff := cmp.Diff("stop fleet: sessions did not close within 3s: zh@h:2", fmt.Sprint(err)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if took := time.Since(at); took != 8*time.Second {
			t.Errorf("took %s", took)
		}
		if !r.dialer.Session("zh@h:3").Closed() {
			t.Error("a session with a stuck call should be closed when the time is up")
		}
		release()
		for _, l := range stuck {
			l.Done(balancer.Lost)
		}
		r.ended <- nil
		synctest.Wait()
	})
}

func TestNewRefuses(t *testing.T) {
	d := manualdial.New()
	edit := func(f func(*fleet.Options)) fleet.Options { o := options(d); f(&o); return o }
	cases := map[string]struct {
		reason string
		opts   fleet.Options
		want   string
	}{
		"Good":      {"all else has defaults", options(d), "<nil>"},
		"NoDialers": {"nothing could be reached", fleet.Options{}, "make fleet: set Dialers: without them no endpoint could be reached"},
		"NilDialer": {"a slip", edit(func(o *fleet.Options) { o.Dialers[target.Child] = nil }), "make fleet: set Dialers[child], which is nil"},
		"Negative":  {"a slip", edit(func(o *fleet.Options) { o.CloseTimeout = -1 }), "make fleet: ReplaceTimeout, DrainTimeout and CloseTimeout must not be negative"},
		"Conn":      {"checked before the first endpoint", edit(func(o *fleet.Options) { o.Conn.PingInterval = -1 }), "make fleet: options of Conn: PingInterval must not be negative"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := fleet.New(tc.opts)
			if diff := cmp.Diff(tc.want, fmt.Sprint(err)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

// TestSessionsBelongToThePod: a pod whose container was killed is withdrawn while it is
// not ready, and comes back as what it was.
func TestSessionsBelongToThePod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		pod := build(network("zh", "h:1"), "uid-1")
		restarts := func() int {
			t.Helper()
			p, _ := r.Plugin("zh")
			if len(p.Endpoints) != 1 || p.Endpoints[0].State != conn.Ready {
				t.Fatalf("it is %+v", p.Endpoints)
			}
			return p.Endpoints[0].Restarts
		}
		for want := range 3 {
			r.find(pod)
			r.pass(time.Second)
			if got := restarts(); got != want {
				t.Errorf("%d restarts, want %d", got, want)
			}
			r.dialer.Session(pod.ID).End(errors.New("killed"))
			synctest.Wait()
			r.offer(true, nil, target.Plugin{Name: "zh"}) // not ready
			r.pass(time.Minute)
		}
		r.find(build(pod, "uid-2"))
		r.pass(time.Second)
		if got := restarts(); got != 0 {
			t.Errorf("another pod at its place has %d restarts", got)
		}
		r.offer(true, nil, target.Plugin{Name: "zh"})
		r.pass(time.Hour)
		r.find(pod)
		r.pass(time.Second)
		if got := restarts(); got != 0 {
			t.Errorf("after an hour %d restarts are still known", got)
		}
	})
}

// TestSessionsBelongToThePodThatDrains: a pod may be ready again while the calls that it
// had when it was withdrawn are still under way.
func TestSessionsBelongToThePodThatDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		pod := build(network("zh", "h:1"), "uid-1")
		r.find(pod)
		r.pass(time.Second)
		lease, err := r.Pool("zh").Pick(t.Context(), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.offer(true, nil, target.Plugin{Name: "zh"}) // not ready
		r.find(pod)
		r.pass(time.Second)
		restarts := func(when string, want int) {
			t.Helper()
			if p, _ := r.Plugin("zh"); len(p.Endpoints) != 1 || p.Endpoints[0].Restarts != want {
				t.Errorf("%s: it is %+v, want %d restarts", when, p.Endpoints, want)
			}
		}
		restarts("while it drains", 1)
		lease.Done(balancer.Answered)
		r.pass(time.Second)
		r.offer(true, nil, target.Plugin{Name: "zh"})
		r.pass(time.Minute)
		r.find(pod)
		r.pass(time.Second)
		restarts("after that", 2)
	})
}
