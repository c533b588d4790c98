// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRPCDeadlines has calls of several timeouts on one channel.
func TestRPCDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, peers := newHandSession("a")
		methods := methodOptions{}
		methods["One"] = CallOptions{Timeout: time.Second}
		methods["Two"] = CallOptions{Timeout: 2 * time.Second}
		methods["Ten"] = CallOptions{Timeout: 10 * time.Second}
		client := handStub(t, newHandRouter(s), func(c *Config) { c.Methods = methods })
		defer client.Close()
		go func() {
			p := <-peers
			for range 8 {
				p.request(t)
			}
		}()
		began := time.Now()
		took := make(chan time.Duration, 8)
		start := func(methods ...string) {
			for _, m := range methods {
				go func() {
					call := goCall(client, m, "x")
					<-call
					took <- time.Since(began)
				}()
				synctest.Wait()
			}
		}
		start("Ten", "One", "Two", "One")
		time.Sleep(1500 * time.Millisecond)
		start("Ten", "One", "Two", "One")
		var got []time.Duration
		for range cap(took) {
			got = append(got, <-took/time.Millisecond)
		}
		want := []time.Duration{1000, 1000, 2000, 2500, 2500, 3500, 10000, 11500}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("when calls ended, in ms (-want +got)\n%s", diff)
		}
	})
}

// TestRPCTimeoutsThatCount: a deadline counts against an endpoint that had time enough.
func TestRPCTimeoutsThatCount(t *testing.T) {
	cases := map[string]struct {
		reason string
		late   time.Duration // after the call began: the endpoint is ready
		want   string
	}{
		"all the time": {"it had as long as the method may take", 0, "a: timed-out"},
		"most of it":   {"it had more than half of that", 900 * time.Millisecond, "a: timed-out"},
		"the rest":     {"the call waited for an endpoint nearly all of its time", 1900 * time.Millisecond, "a: abandoned"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, peers := newHandSession("a")
				router := newHandRouter()
				client := handStub(t, router, nil)
				defer client.Close()
				ready := func() { router.set(s) }
				if tc.late == 0 {
					ready()
				} else {
					time.AfterFunc(tc.late, ready)
				}
				call := goCall(client, "Quick", "x")
				p := <-peers
				p.request(t)
				if f, ok := Cause((<-call).err); !ok || f.Reason != ReasonTimeout || !f.MayHaveRun {
					t.Errorf("the call ended with %v", f)
				}
				if _, outcomes, _ := router.seen(); !slices.Equal(outcomes, []string{tc.want}) {
					t.Errorf("%s: the fleet was told %v, want %s", tc.reason, outcomes, tc.want)
				}
			})
		})
	}
}
