// SPDX-License-Identifier: MPL-2.0

package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/conn/manualdial"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/target"
)

// TestEventsComeBehindTheViewTheyLeadTo looks at all while an endpoint comes and goes: an
// event that a View does not show yet is newer than all that it shows, and each of the
// others is among what came before it.
func TestEventsComeBehindTheViewTheyLeadTo(t *testing.T) {
	r := run(t, func(o *fleet.Options) { o.Conn.Backoff = conn.Backoff{Min: time.Microsecond, Max: time.Microsecond} })
	r.sets <- &discovery.Set{Synced: true, Endpoints: []target.Endpoint{zh1}, Plugins: []target.Plugin{{Name: "zh"}}}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	looks := make(chan struct{}, 1)
	wg.Go(func() {
		const each = 16 // sessions end meanwhile: more could come faster than they are told
		for n := 1; ; n++ {
			if n%each == 0 {
				select {
				case <-looks:
				case <-ctx.Done():
				}
			}
			s, err := r.dialer.WaitSession(ctx, zh1.ID, n)
			if err != nil {
				return
			}
			s.End(errors.New("gone"))
		}
	})
	for range 200 {
		sub := r.Subscribe(64)
		looks <- struct{}{}
		first := <-sub.C() // so that something is under way
		view, past := r.Look()
		var shown fleet.EndpointStatus
		for _, p := range view.Plugins {
			for _, e := range p.Endpoints {
				shown = e
			}
		}
		if n := len(past); n > 0 && past[n-1].Generation > view.Generation {
			t.Errorf("what came before generation %d has an event of %d", view.Generation, past[n-1].Generation)
		}
		for _, e := range append([]fleet.Event{first}, waiting(sub)...) {
			if e.Type != fleet.StateChanged || shown.Since.IsZero() {
				continue
			}
			if shows := !e.Time.After(shown.Since); shows != (e.Generation <= view.Generation) {
				t.Fatalf("generation %d shows %s since %s; generation %d came to %s at %s",
					view.Generation, shown.State, shown.Since, e.Generation, e.To, e.Time)
			}
		}
		sub.Close()
	}
}

// waiting takes what a subscription holds.
func waiting(s *fleet.Subscription) (events []fleet.Event) {
	for len(s.C()) > 0 {
		events = append(events, <-s.C())
	}
	return events
}

// TestPast holds what is kept of what happened: how each attempt ended and not that it began,
// those that fail alike as one, and no more than is of use.
func TestPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(o *fleet.Options) { o.Conn.Backoff = conn.Backoff{Min: time.Second, Max: time.Second} })
		r.dialer.Default(manualdial.Script{Err: errors.New("dial tcp 127.0.0.1:1->127.0.0.1:2: refused")})
		r.find(zh1)
		r.pass(10 * time.Second)
		r.dialer.Default(manualdial.Script{})
		r.pass(10 * time.Second)
		r.dialer.Session(zh1.ID).End(errors.New("gone"))
		synctest.Wait()
		_, past := r.Look()
		var got []string
		for _, p := range past {
			if p.Type == fleet.StateChanged {
				got = append(got, fmt.Sprintf("%s %s", p.To, p.Cause))
			} else {
				got = append(got, string(p.Type))
			}
		}
		want := []string{
			"found", "TRANSIENT_FAILURE dial tcp 127.0.0.1:1->127.0.0.1:2: refused", "READY ", "plugin-ready",
			"TRANSIENT_FAILURE gone", "plugin-unready",
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("kept are %q, want %q", got, want)
		}
		if p := past[1]; p.Times < 5 || !p.Until.After(p.Time.Add(4*time.Second)) {
			t.Errorf("the attempts that failed alike are %+v", p)
		}
		var many []target.Endpoint
		for i := range 600 {
			many = append(many, network("zh", fmt.Sprintf("many:%d", i+1)))
		}
		r.find(many...)
		if _, past = r.Look(); len(past) != 500 {
			t.Errorf("%d events are kept", len(past))
		}
	})
}

// TestPastKeepsWhatGoesOn holds that a failure which happens again and again is not forgotten
// for what was once.
func TestPastKeepsWhatGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(o *fleet.Options) { o.Conn.Backoff = conn.Backoff{Min: time.Second, Max: time.Second} })
		r.dialer.Default(manualdial.Script{Err: errors.New("refused")})
		for range 250 { // Another is found, fails and is withdrawn.
			r.find(zh1, network("zh", "short:1"))
			r.pass(time.Second)
			r.find(zh1)
		}
		_, past := r.Look()
		for _, p := range past {
			if p.Endpoint == zh1.ID && p.Times > 100 {
				return
			}
		}
		t.Error("the endpoint that has failed all the time is forgotten")
	})
}
