// SPDX-License-Identifier: MPL-2.0

package conn_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/conn/manualdial"
)

// freeze stops a plugin as SIGSTOP does: what it was asked meanwhile it answers when it
// goes on.
func freeze(s *manualdial.Session) (thaw func()) {
	going := make(chan struct{})
	s.SetPing(func(ctx context.Context) error {
		select {
		case <-going:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return sync.OnceFunc(func() { close(going) })
}

// TestFrozenEndpointIsLost: with the default options a plugin that stops loses its calls
// soon enough for one of ten seconds to be answered elsewhere, whether or not it is
// withdrawn meanwhile, and one that is busy for less than five seconds loses none.
func TestFrozenEndpointIsLost(t *testing.T) {
	const soon, busy = 8100 * time.Millisecond, 4900 * time.Millisecond
	stays, leaves := func(*rig) {}, func(r *rig) { r.leave() }
	says := func(r *rig) { r.session().Drain() }
	cases := map[string]struct {
		reason string
		after  time.Duration // it leaves at some time from the stop until then
		leave  func(*rig)
	}{
		"stays":            {"there is no sign that it leaves", 0, stays},
		"leaves":           {"withdrawn when it stops", 0, leaves},
		"leaves later":     {"Kubernetes takes some seconds to notice", 8 * time.Second, leaves},
		"had been leaving": {"it stops after it was withdrawn", -10 * time.Second, leaves},
		"has said so":      {"it stops while it ends", -10 * time.Second, says},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				synctest.Test(t, func(t *testing.T) {
					r := run(t, endpoint, conn.Options{})
					r.pass(time.Duration(rand.N(20 * time.Second)))
					l, s := r.begin(), r.session()
					at := leaving(r, tc.after, tc.leave)
					defer freeze(s)()
					for !s.Closed() && time.Since(at) <= soon {
						r.pass(50 * time.Millisecond)
					}
					if !s.Closed() {
						t.Errorf("%s: its call hangs for more than %s", tc.reason, soon)
					}
					l.Done(balancer.Lost)
				})
				synctest.Test(t, func(t *testing.T) {
					r := run(t, endpoint, conn.Options{})
					r.pass(time.Duration(rand.N(20 * time.Second)))
					l, s := r.begin(), r.session()
					leaving(r, min(tc.after, busy), tc.leave)
					thaw := freeze(s)
					r.pass(busy)
					thaw()
					r.pass(time.Second)
					if s.Closed() {
						t.Errorf("%s: a plugin that was busy for %s has lost its call", tc.reason, busy)
					}
					l.Done(balancer.Answered)
				})
			}
		})
	}
}

// leaving has an endpoint leave at some time until after from now, or before if that is
// negative. It gives now, which is later then.
func leaving(r *rig, after time.Duration, leave func(*rig)) time.Time {
	switch {
	case after > 0:
		time.AfterFunc(rand.N(after), func() { leave(r) })
	case after < 0:
		leave(r)
		r.pass(rand.N(-after))
	default:
		leave(r)
	}
	return time.Now()
}
