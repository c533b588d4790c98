// SPDX-License-Identifier: MPL-2.0

package manualdial_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/conn/manualdial"
	"github.com/reattach/reattach/host/target"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var endpoint = target.Endpoint{ID: "zh@h:1", Plugin: "zh", Placement: target.Network, Address: "h:1"}

func TestScripts(t *testing.T) {
	refused := errors.New("refused")
	cases := map[string]struct {
		reason string
		script func(*manualdial.Dialer)
		err    error
	}{
		"Zero":    {"a dialer without a script makes sessions", func(*manualdial.Dialer) {}, nil},
		"Default": {"for all endpoints", func(d *manualdial.Dialer) { d.Default(manualdial.Script{Err: refused}) }, refused},
		"Own": {"for this one", func(d *manualdial.Dialer) {
			d.Default(manualdial.Script{Err: refused})
			d.Set("zh@h:1", manualdial.Script{})
		}, nil},
		"Hold": {"until the attempt ends", func(d *manualdial.Dialer) { d.Default(manualdial.Script{Hold: true}) }, context.DeadlineExceeded},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := manualdial.New()
				tc.script(d)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				s, err := d.Dial(ctx, endpoint)
				if !errors.Is(err, tc.err) || (s == nil) == (err == nil) {
					t.Fatalf("%s: %v, %v", tc.reason, s, err)
				}
				if n := d.Dials("zh@h:1"); n != 1 {
					t.Errorf("%d dials", n)
				}
				if err != nil {
					return
				}
				if s != conn.Session(d.Session("zh@h:1")) || d.Open() != 1 {
					t.Errorf("%T was made, %d are open", s, d.Open())
				}
				if err := errors.Join(s.Ping(ctx), s.Close()); err != nil || d.Open() != 0 || !errors.Is(s.Err(), manualdial.ErrClosed) {
					t.Errorf("%v; %d are open, err %v", err, d.Open(), s.Err())
				}
			})
		})
	}
}

func TestWaitSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := manualdial.New()
		got := make(chan *manualdial.Session)
		go func() {
			s, _ := d.WaitSession(t.Context(), "zh@h:1", 2)
			got <- s
		}()
		for range 2 {
			if _, err := d.Dial(t.Context(), endpoint); err != nil {
				t.Fatal(err)
			}
		}
		if s := <-got; s == nil || s != d.Sessions("zh@h:1")[1] {
			t.Errorf("got %v", s)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := d.WaitSession(ctx, "zh@h:1", 3); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSessionEnds(t *testing.T) {
	d := manualdial.New()
	if _, err := d.Dial(t.Context(), endpoint); err != nil {
		t.Fatal(err)
	}
	s := d.Session("zh@h:1")
	select {
	case <-s.Draining():
		t.Error("draining from the start")
	case <-s.Done():
		t.Error("ended from the start")
	default:
	}
	killed := errors.New("killed")
	s.Drain()
	s.End(killed)
	<-s.Draining()
	<-s.Done()
	if s.Err() != killed || s.Ping(t.Context()) != killed {
		t.Errorf("Err is %v", s.Err())
	}
	if err := s.Close(); err != nil || s.Err() != killed {
		t.Errorf("Close: %v; the first cause stays, got %v", err, s.Err())
	}
}
