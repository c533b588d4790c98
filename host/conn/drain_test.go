// SPDX-License-Identifier: MPL-2.0

package conn_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

func child() target.Endpoint {
	return target.Endpoint{ID: "zh@/bin/zh", Plugin: "zh", Placement: target.Child, Address: "/bin/zh"}
}

func TestLeavingWaitsForCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, endpoint, conn.Options{})
		one, two := r.begin(), r.begin()
		r.leave()
		r.want("no call may begin", conn.Shutdown)
		if one.Begin() {
			t.Error("a call began on a link that was retired")
		}
		r.pass(29 * time.Second)
		one.Done(balancer.Answered)
		synctest.Wait()
		if r.session().Closed() || r.InFlight() != 1 {
			t.Errorf("closed %v with %d calls in flight", r.session().Closed(), r.InFlight())
		}
		at := time.Now()
		two.Done(balancer.Answered)
		<-r.ended
		if !r.session().Closed() || r.InFlight() != 0 || time.Since(at) != 0 {
			t.Errorf("closed %v with %d calls in flight, %s after the last call", r.session().Closed(), r.InFlight(), time.Since(at))
		}
	})
}

func TestDrainIsBounded(t *testing.T) {
	cases := map[string]struct {
		reason string
		cut    func(*rig)
		within time.Duration
	}{
		"Timeout": {"a call that never ends must not keep the host", func(*rig) {}, 7 * time.Second},
		"Hurry":   {"the host has no time left", func(r *rig) { r.Hurry() }, 0},
		"Lost":    {"there is nothing to wait for", func(r *rig) { r.session().End(errors.New("gone")) }, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, endpoint, conn.Options{DrainTimeout: 7 * time.Second})
				l := r.begin()
				at := time.Now()
				r.leave()
				r.want(tc.reason, conn.Shutdown)
				tc.cut(r)
				<-r.ended
				if took := time.Since(at); took != tc.within {
					t.Errorf("%s: took %s, want %s", tc.reason, took, tc.within)
				}
				l.Done(balancer.Lost)
			})
		})
	}
}

func TestPluginThatLeavesIsNotCalledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, endpoint, conn.Options{})
		l := r.begin()
		r.session().Drain() // the Conn has not noticed yet
		if l.Begin() {
			t.Error("a call began on a session that drains")
		}
		l.Done(balancer.Answered)
		r.pass(time.Second)
		r.session().End(errors.New("gone"))
		if l := r.Status().Link; l != nil && l.Begin() {
			t.Error("a call began on a session that has ended")
		}
	})
}

func TestNetworkPluginIsRedialledWhileItsCallsFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, endpoint, conn.Options{})
		r.pass(time.Minute)
		old, l := r.session(), r.begin()
		r.told()
		old.Drain()
		wantStory(t, "it is not READY at once", r, "TRANSIENT_FAILURE")
		r.pass(100 * time.Millisecond)
		r.want("another pod stands behind the address", conn.Ready)
		wantStory(t, "again", r, "CONNECTING", "READY")
		if old.Closed() || r.session() == old {
			t.Fatal("the old session ended under its call")
		}
		fresh := r.begin()
		if n := r.InFlight(); n != 2 {
			t.Errorf("%d calls in flight, want both sessions' calls counted", n)
		}
		l.Done(balancer.Answered)
		synctest.Wait()
		if !old.Closed() || r.InFlight() != 1 {
			t.Errorf("old one closed %v, %d in flight", old.Closed(), r.InFlight())
		}
		fresh.Done(balancer.Answered)
	})
}

func TestLeavingWaitsForSessionsThatDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, endpoint, conn.Options{})
		r.pass(time.Minute)
		l := r.begin()
		r.session().Drain()
		r.pass(time.Second)
		r.want("redialled", conn.Ready)
		r.leave()
		synctest.Wait()
		select {
		case <-r.ended:
			t.Error("Run returned under a call")
		default:
		}
		l.Done(balancer.Answered)
		<-r.ended
	})
}

func TestChildIsRestartedWhenItHasDrained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, child(), conn.Options{})
		r.pass(time.Minute)
		l := r.begin()
		r.session().Drain()
		r.pass(10 * time.Second)
		r.want("two of them might fight over what they own", conn.TransientFailure)
		if r.dials() != 1 || r.session().Closed() {
			t.Errorf("%d dials, closed %v", r.dials(), r.session().Closed())
		}
		l.Done(balancer.Answered)
		r.pass(250 * time.Millisecond)
		r.want("restarted", conn.Ready)
	})
}

func TestLeavingWhileAChildDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, child(), conn.Options{})
		l := r.begin()
		r.session().Drain()
		r.want("drains", conn.TransientFailure)
		r.leave()
		r.want("it will not come back", conn.Shutdown)
		l.Done(balancer.Answered)
		<-r.ended
		if r.dials() != 1 {
			t.Errorf("%d dials", r.dials())
		}
	})
}

func TestRunReturnsWhenTheSessionIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, child(), conn.Options{})
		release := r.session().HoldClose()
		r.leave()
		r.pass(time.Hour)
		select {
		case <-r.ended:
			t.Error("Run returned before Close did")
		default:
		}
		release()
		<-r.ended
	})
}

// TestDrainIsPinged: the drain goes on with the pings of the session, and only silence
// is no answer.
func TestDrainIsPinged(t *testing.T) {
	cases := map[string]struct {
		reason string
		ping   func(context.Context) error
		within time.Duration
	}{
		"refuses pings": {"a server that ends in order takes no new calls", func(context.Context) error { return errors.New("GOAWAY") }, 30 * time.Second},
		"answers":       {"its calls may finish", nil, 30 * time.Second},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, endpoint, conn.Options{})
				l := r.begin()
				at := time.Now()
				r.leave()
				synctest.Wait()
				r.session().SetPing(tc.ping)
				<-r.ended
				if took := time.Since(at); took != tc.within {
					t.Errorf("%s: the session was closed after %s, want %s", tc.reason, took, tc.within)
				}
				if r.session().Pings() < 5 {
					t.Errorf("it was pinged %d times", r.session().Pings())
				}
				l.Done(balancer.Lost)
			})
		})
	}
}
