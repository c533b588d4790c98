// SPDX-License-Identifier: MPL-2.0

package conn_test

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
)

func TestPingsAreSpacedAndSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, endpoint, conn.Options{PingInterval: 10 * time.Second})
		r.pass(1000 * time.Second)
		if n := r.session().Pings(); n < 90 || n > 112 {
			t.Errorf("%d pings in 1000 s, want about 100", n)
		}
	})
	first := make(map[time.Duration]bool)
	for range 5 {
		synctest.Test(t, func(t *testing.T) {
			r := run(t, endpoint, conn.Options{PingInterval: 10 * time.Second})
			at := time.Now()
			for r.session().Pings() == 0 {
				r.pass(100 * time.Millisecond)
			}
			if took := time.Since(at); took > 10100*time.Millisecond {
				t.Errorf("the first ping came after %s", took)
			}
			first[time.Since(at)] = true
		})
	}
	if len(first) == 1 {
		t.Error("sessions that began together are probed together")
	}
}

func TestNoAnswerToPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, endpoint, conn.Options{PingInterval: 10 * time.Second, PingTimeout: 2 * time.Second})
		l, first := r.begin(), r.session()
		first.SetPing(manualdial.Hang)
		r.told()
		at := time.Now()
		for r.Status().State == conn.Ready && !r.Status().Ejected {
			r.pass(100 * time.Millisecond)
		}
		s := r.want("one failure is not the end", conn.Ready)
		if diff := cmp.Diff("no answer to a ping", fmt.Sprint(s.Err)); diff != "" {
			t.Errorf("cause (-want +got)\n%s", diff)
		}
		if took := time.Since(at); took > 12100*time.Millisecond {
			t.Errorf("held back after %s, want an interval and a timeout", took)
		}
		r.pass(2500 * time.Millisecond)
		if !first.Closed() || first.Pings() != 2 {
			t.Errorf("closed %v after %d pings; want it given up after two", first.Closed(), first.Pings())
		}
		if diff := cmp.Diff("no answer to 2 pings in a row", fmt.Sprint(r.Status().Err)); diff != "" {
			t.Errorf("cause (-want +got)\n%s", diff)
		}
		r.want("redialled", conn.Ready)
		wantStory(t, "by way of", r, "ejected=true", "TRANSIENT_FAILURE", "CONNECTING", "READY")
		l.Done(balancer.Lost)
	})
}

func TestOneLatePingIsForgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, endpoint, conn.Options{PingInterval: 10 * time.Second, PingTimeout: 2 * time.Second})
		for range 3 {
			thaw := freeze(r.session())
			for !r.Status().Ejected {
				r.pass(100 * time.Millisecond)
			}
			thaw()
			synctest.Wait()
			if r.Status().Ejected || r.Status().Restarts() != 0 {
				t.Fatal("held back, or given up, although the next ping was answered")
			}
		}
	})
}

func TestEjection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, endpoint, conn.Options{EjectAfter: 3})
		r.call(repeat(balancer.TimedOut, 2)...)
		r.call(balancer.Answered)
		r.call(repeat(balancer.TimedOut, 2)...)
		if r.Status().Ejected {
			t.Fatal("an answer between them was not counted")
		}
		for i, want := range []time.Duration{5, 10, 20, 40, 60, 60} {
			want *= time.Second
			r.call(repeat(balancer.TimedOut, 3)...)
			s := r.want("it still has its session", conn.Ready)
			if !s.Ejected || s.Ejections != i+1 || s.Err.Error() != "3 calls in a row timed out" {
				t.Fatalf("ejection %d: %+v", i, s)
			}
			if got := time.Until(s.EjectedUntil); got < want*8/10 || got > want*12/10 {
				t.Errorf("ejection %d lasts %s, want %s give or take a fifth", i, got, want)
			}
			// Calls that were on their way do not make it worse.
			r.call(repeat(balancer.TimedOut, 7)...)
			r.call(balancer.Answered)
			r.call(repeat(balancer.TimedOut, 7)...)
			if n := r.Status().Ejections; n != i+1 {
				t.Errorf("%d ejections while ejected for the time number %d", n, i+1)
			}
			r.pass(time.Until(s.EjectedUntil) - 1)
			if !r.Status().Ejected {
				t.Errorf("ejection %d: back too early", i)
			}
			r.pass(time.Second)
			if r.Status().Ejected {
				t.Errorf("ejection %d: not back although the probe was answered", i)
			}
		}
		r.pass(2 * time.Minute)
		r.call(repeat(balancer.TimedOut, 3)...)
		if got := time.Until(r.Status().EjectedUntil); got > 6*time.Second {
			t.Errorf("ejected for %s although all was well for long", got)
		}
	})
}

func TestEjectedEndpointIsProbedOnItsWayBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, endpoint, conn.Options{EjectAfter: 2, PingInterval: time.Hour})
		first := r.session()
		first.SetPing(manualdial.Hang)
		r.call(repeat(balancer.TimedOut, 2)...)
		r.told()
		r.pass(time.Until(r.Status().EjectedUntil))
		r.want("being probed", conn.Ready)
		if first.Pings() != 1 || !r.Status().Ejected {
			t.Errorf("%d pings, ejected %v", first.Pings(), r.Status().Ejected)
		}
		r.pass(7 * time.Second)
		wantStory(t, "a probe that fails twice", r, "TRANSIENT_FAILURE", "CONNECTING", "READY")
	})
}

func TestOneProbeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, endpoint, conn.Options{
			EjectAfter: 1, PingInterval: 10 * time.Second, PingTimeout: time.Hour,
			Ejection: conn.Backoff{Min: time.Second, Max: time.Second},
		})
		r.session().SetPing(manualdial.Hang)
		r.pass(10 * time.Second)
		r.call(balancer.TimedOut)
		r.pass(time.Minute)
		if n := r.session().Pings(); n != 1 {
			t.Errorf("%d pings are in flight", n)
		}
	})
}

func TestSessionThatEndsUnderAProbeSaysWhy(t *testing.T) {
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			r := run(t, endpoint, conn.Options{PingFailures: 1})
			first := r.session()
			first.SetPing(func(context.Context) error {
				<-first.Done()
				return errors.New("no connection")
			})
			r.pass(5 * time.Second)
			first.End(errors.New("killed"))
			synctest.Wait()
			if diff := cmp.Diff("killed", fmt.Sprint(r.Status().Err)); diff != "" {
				t.Errorf("cause (-want +got)\n%s", diff)
			}
		})
	}
}

func TestEjectionOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, endpoint, conn.Options{EjectAfter: -1})
		r.call(repeat(balancer.TimedOut, 1000)...)
		if r.Status().Ejected {
			t.Error("ejected although that is off")
		}
	})
}

func TestStateText(t *testing.T) {
	want := []string{"IDLE", "CONNECTING", "READY", "TRANSIENT_FAILURE", "SHUTDOWN", "State(5)"}
	var got []string
	for s := conn.Idle; s <= conn.Shutdown+1; s++ {
		text, err := s.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(text))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
