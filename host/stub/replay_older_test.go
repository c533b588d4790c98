// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
)

// lateContext is a context whose deadline passes when the test says so.
type lateContext struct {
	context.Context
	deadline time.Time // sooner than the method's timeout, which would be the endpoint's fault
	done     chan struct{}
}

// Deadline implements context.Context.
func (c *lateContext) Deadline() (time.Time, bool) { return c.deadline, true }

// Done implements context.Context.
func (c *lateContext) Done() <-chan struct{} { return c.done }

// Err implements context.Context.
func (c *lateContext) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// TestOlderIsNotLast has the caller of a first request give up, and the endpoint run it
// later: what is newer is not sent there before that.
func TestOlderIsNotLast(t *testing.T) {
	cases := map[string]func(context.Context) (context.Context, context.CancelFunc){
		"cancelled": context.WithCancel,
		"too late": func(ctx context.Context) (context.Context, context.CancelFunc) {
			late := &lateContext{ctx, time.Now().Add(DefaultTimeout / 3), make(chan struct{})}
			return late, func() { close(late.done) }
		},
	}
	for name, within := range cases {
		t.Run(name, func(t *testing.T) {
			forBothProtocols(t, func(t *testing.T, protocol plugin.Protocol) {
				m := startMemories(t, protocol, false)
				router := &aimed{crew: m.crew}
				router.at.Store(m.pods[0])
				stateless := m.caller(t, protocol, Config{Router: router, Methods: m.methods})
				m.look = func() error { _, err := stateless(t.Context(), "Look", ""); return err }
				m.callWithin = m.caller(t, protocol, Config{Router: router, State: NewState(), Methods: m.methods})
				m.must(t, "Configure", "a", "configure a")
				arrived, release := m.memories[0].holding()
				t.Cleanup(release)
				ctx, giveUp := within(t.Context())
				older := m.begin(ctx, "Configure", "b")
				<-arrived
				giveUp()
				if got := <-older; got.err == nil {
					t.Fatal("answered a call that was given up")
				}
				newer := m.behind(t, router, "c")
				release()
				if got := <-newer; got.err != nil {
					t.Fatal(got.err)
				}
				if got := m.memories[0].seen(); got != "configure a, configure b, configure c" {
					t.Errorf("the endpoint was told %q", got)
				}
				m.must(t, "Ask", "x", "c/x")
			})
		})
	}
}
