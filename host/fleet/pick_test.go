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

var (
	zh1, zh2, zh3 = network("zh", "h:1"), network("zh", "h:2"), network("zh", "h:3")
	en1           = network("en", "h:1")
)

func TestPick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.find(zh1, zh2, zh3, en1)
		r.wantPicked("one plugin is not another", "en", "en@h:1")
		r.wantPicked("all replicas", "zh", "zh@h:1", "zh@h:2", "zh@h:3")
		for range 50 {
			l := r.pick("zh", "zh@h:1", "zh@h:3")
			if l.Endpoint() != "zh@h:2" || l.Session() != any(r.dialer.Session("zh@h:2")) {
				t.Fatalf("%s was picked although it was tried, session %v", l.Endpoint(), l.Session())
			}
			l.Done(balancer.Answered)
		}
		l := r.pick("zh", "zh@h:1", "zh@h:2", "zh@h:3")
		defer l.Done(balancer.Answered)
		if s, _ := r.Plugin("zh"); s.Ready != 3 || s.Waiting != 0 {
			t.Errorf("%d ready, %d waiting", s.Ready, s.Waiting)
		}
	})
}

func TestPickWaits(t *testing.T) {
	cases := map[string]struct {
		reason string
		then   func(*rig)
	}{
		"Ready":    {"the endpoint is ready at last", func(r *rig) { r.dialer.Set("zh@h:1", manualdial.Script{}) }},
		"Another":  {"another one is found", func(r *rig) { r.find(zh1, zh2) }},
		"NotFound": {"even its only endpoint was withdrawn for a while", func(r *rig) { r.offer(true, nil, target.Plugin{Name: "zh"}); r.find(zh2) }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, nil)
				r.dialer.Set("zh@h:1", manualdial.Script{Hold: true})
				r.find(zh1)
				done := make(chan error)
				for range 10 {
					go func() {
						l, err := r.Pool("zh").Pick(t.Context(), "netrpc", nil)
						if err == nil {
							l.Done(balancer.Answered)
						}
						done <- err
					}()
				}
				synctest.Wait()
				if s, _ := r.Plugin("zh"); s.Waiting != 10 {
					t.Errorf("%d calls wait", s.Waiting)
				}
				tc.then(r)
				for range 10 {
					if err := <-done; err != nil {
						t.Errorf("%s: %v", tc.reason, err)
					}
				}
			})
		})
	}
}

func TestWaitingIsOver(t *testing.T) {
	cases := map[string]struct {
		reason string
		synced bool
		then   func(*rig)
		want   string
	}{
		"Synced":   {"now all sources have told, and none knows it", false, func(r *rig) { r.find(en1) }, `plugin "zh" is unknown: known are en`},
		"Shutdown": {"a plugin without endpoints gets none any more", true, func(r *rig) { r.stop() }, "no endpoint of zh is ready: it has none (the host is shutting down)"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, nil)
				if tc.synced {
					r.offer(true, nil, target.Plugin{Name: "zh"})
				} else {
					r.offer(false, []target.Endpoint{en1})
				}
				got := make(chan error)
				go func() {
					_, err := r.Pool("zh").Pick(t.Context(), "netrpc", nil)
					got <- err
				}()
				synctest.Wait()
				tc.then(r)
				if diff := cmp.Diff(tc.want, fmt.Sprint(<-got)); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
				}
			})
		})
	}
}

func TestPoolOutlivesItsPlugin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		pool := r.Pool("zh")
		for range 2 {
			r.find(zh1)
			l, err := pool.Pick(t.Context(), "netrpc", nil)
			if err != nil {
				t.Fatal(err)
			}
			l.Done(balancer.Answered)
			r.find()
		}
		if pool != r.Pool("zh") || pool.Plugin() != "zh" {
			t.Error("a plugin has two pools")
		}
	})
}

func TestPickFails(t *testing.T) {
	permanent := conn.Permanent(errors.New("version 9 is not ours"))
	refused := errors.New("connection refused")
	cases := map[string]struct {
		reason string
		set    func(*rig)
		took   time.Duration
		is     error
		want   string
	}{
		"Unknown":   {"none will ever serve it", func(r *rig) { r.find(en1, network("de", "h:1")) }, 0, nil, `plugin "zh" is unknown: known are de, en`},
		"NoneKnown": {"there is nothing", func(r *rig) { r.find() }, 0, nil, `plugin "zh" is unknown: none is known`},
		"NotSynced": {"a source may yet know it", func(r *rig) { r.offer(false, nil) }, time.Minute, context.DeadlineExceeded, "no endpoint of zh is ready: none is found yet (context deadline exceeded)"},
		"Declared":  {"a pod may come", func(r *rig) { r.offer(true, nil, target.Plugin{Name: "zh"}) }, time.Minute, context.DeadlineExceeded, "no endpoint of zh is ready: it has none (context deadline exceeded)"},
		"Problem": {"what discovery cannot offer does not come by waiting", func(r *rig) {
			r.sets <- &discovery.Set{Synced: true, Plugins: []target.Plugin{{Name: "zh"}}, Problems: []target.Problem{{Plugin: "zh", Subject: "service ns/zh", Reason: "it is of type ExternalName"}}}
			synctest.Wait()
		}, 0, conn.ErrPermanent, "no endpoint of zh is ready: service ns/zh: it is of type ExternalName (permanent)"},
		"Refused": {"the last causes, by endpoint", func(r *rig) {
			r.dialer.Default(manualdial.Script{Err: refused})
			r.dialer.Set("zh@h:3", manualdial.Script{Hold: true})
			r.find(zh3, zh1, zh2)
			synctest.Wait()
		}, time.Minute, context.DeadlineExceeded, "no endpoint of zh is ready: zh@h:1: connection refused; zh@h:2: connection refused; zh@h:3: no session within 10s (context deadline exceeded)"},
		"Many": {"not all of them", func(r *rig) {
			r.dialer.Default(manualdial.Script{Err: refused})
			r.find(zh1, zh2, zh3, network("zh", "h:4"), network("zh", "h:5"))
		}, time.Minute, context.DeadlineExceeded, "no endpoint of zh is ready: zh@h:1: connection refused; zh@h:2: connection refused; zh@h:3: connection refused; and 2 more (context deadline exceeded)"},
		"Permanent": {"waiting does not mend it", func(r *rig) {
			r.dialer.Default(manualdial.Script{Err: permanent})
			r.find(zh1, zh2)
		}, 0, conn.ErrPermanent, "no endpoint of zh is ready: zh@h:1: version 9 is not ours; zh@h:2: version 9 is not ours (permanent)"},
		"PermanentNotSynced": {"a source may yet know another endpoint", func(r *rig) {
			r.dialer.Default(manualdial.Script{Err: permanent})
			r.offer(false, []target.Endpoint{zh1})
		}, time.Minute, context.DeadlineExceeded, "no endpoint of zh is ready: zh@h:1: version 9 is not ours (context deadline exceeded)"},
		"OneMayMend": {"not all failed for good", func(r *rig) {
			r.dialer.Set("zh@h:1", manualdial.Script{Err: permanent})
			r.dialer.Set("zh@h:2", manualdial.Script{Err: refused})
			r.find(zh1, zh2)
		}, time.Minute, context.DeadlineExceeded, "no endpoint of zh is ready: zh@h:1: version 9 is not ours; zh@h:2: connection refused (context deadline exceeded)"},
		"Protocol": {"ready, but not for this stub", func(r *rig) {
			r.dialer.Default(manualdial.Script{Info: conn.Info{Protocol: "grpc"}})
			r.find(zh1)
		}, 0, fleet.ErrOtherDialect, `no endpoint of zh is ready: zh@h:1: it speaks "grpc", not "netrpc" (no other endpoint is on its way)`},
		"ProtocolNotSynced": {"a source may yet know another endpoint", func(r *rig) {
			r.dialer.Default(manualdial.Script{Info: conn.Info{Protocol: "grpc"}})
			r.offer(false, []target.Endpoint{zh1})
		}, time.Minute, context.DeadlineExceeded, `no endpoint of zh is ready: zh@h:1: it speaks "grpc", not "netrpc" (context deadline exceeded)`},
		"ProtocolOneMayMend": {"another one may come back and speak it", func(r *rig) {
			r.dialer.Set("zh@h:1", manualdial.Script{Info: conn.Info{Protocol: "grpc"}})
			r.dialer.Set("zh@h:2", manualdial.Script{Err: refused})
			r.find(zh1, zh2)
		}, time.Minute, context.DeadlineExceeded, `no endpoint of zh is ready: zh@h:1: it speaks "grpc", not "netrpc"; zh@h:2: connection refused (context deadline exceeded)`},
		"ProtocolOneFailed": {"one speaks otherwise, one never will speak", func(r *rig) {
			r.dialer.Set("zh@h:1", manualdial.Script{Info: conn.Info{Protocol: "grpc"}})
			r.dialer.Set("zh@h:2", manualdial.Script{Err: permanent})
			r.find(zh1, zh2)
		}, 0, fleet.ErrOtherDialect, `no endpoint of zh is ready: zh@h:1: it speaks "grpc", not "netrpc"; zh@h:2: version 9 is not ours (no other endpoint is on its way)`},
		"ProtocolReplaced": {"a new instance is on its way", func(r *rig) {
			r.dialer.Default(manualdial.Script{Info: conn.Info{Protocol: "grpc"}})
			r.find(build(zh1, "old"))
			r.dialer.Default(manualdial.Script{Err: refused})
			r.find(build(zh1, "new"))
		}, time.Minute, context.DeadlineExceeded, `no endpoint of zh is ready: zh@h:1: it speaks "grpc", not "netrpc" (context deadline exceeded)`},
		"Leaving": {"discovery says so", func(r *rig) {
			r.find(with(zh1, func(e *target.Endpoint) { e.Draining = true }))
		}, time.Minute, context.DeadlineExceeded, "no endpoint of zh is ready: zh@h:1: it leaves (context deadline exceeded)"},
		"Placement": {"a host may lack one", func(r *rig) {
			r.find(target.Endpoint{ID: "zh@/zh.so", Plugin: "zh", Placement: target.InProcess, Address: "/zh.so"})
		}, 0, conn.ErrPermanent, "no endpoint of zh is ready: zh@/zh.so: this host was built without in-process plugins (permanent)"},
		"Shutdown": {"the host ends", func(r *rig) { r.find(zh1); r.stop(); synctest.Wait() }, 0, fleet.ErrShutdown, "no endpoint of zh is ready: zh@h:1: it leaves (the host is shutting down)"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := run(t, nil)
				tc.set(r)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				at := time.Now()
				_, err := r.Pool("zh").Pick(ctx, "netrpc", nil)
				if diff := cmp.Diff(tc.want, fmt.Sprint(err)); diff != "" {
					t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
				}
				if took := time.Since(at); took != tc.took {
					t.Errorf("%s: failed after %s, want %s", tc.reason, took, tc.took)
				}
				if tc.is != nil && !errors.Is(err, tc.is) {
					t.Errorf("%s: %v is not %v", tc.reason, err, tc.is)
				}
			})
		})
	}
}

func TestPickByProtocol(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.dialer.Set("zh@h:2", manualdial.Script{Info: conn.Info{Protocol: "grpc"}})
		r.dialer.Set("zh@h:3", manualdial.Script{Info: conn.Info{Protocol: "-"}})
		r.find(zh1, zh2, zh3)
		r.wantPicked("any", "zh", "zh@h:1", "zh@h:2", "zh@h:3")
		for protocol, want := range map[string]string{"netrpc": "zh@h:1", "grpc": "zh@h:2"} {
			for range 20 {
				l, err := r.Pool("zh").Pick(t.Context(), protocol, nil)
				if err != nil || l.Endpoint() != want {
					t.Fatalf("%s: %v, %v, want %s", protocol, l, err, want)
				}
				l.Done(balancer.Answered)
			}
		}
	})
}

func TestReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.dialer.Default(manualdial.Script{Hold: true})
		r.find(zh1)
		got := make(chan string)
		go func() {
			info, err := r.Pool("zh").Ready(t.Context(), "")
			got <- fmt.Sprint(info.Protocol, err)
		}()
		synctest.Wait()
		r.dialer.Default(manualdial.Script{Info: conn.Info{Protocol: "grpc"}})
		if diff := cmp.Diff("grpc<nil>", <-got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if s, _ := r.Plugin("zh"); s.Endpoints[0].InFlight != 0 {
			t.Error("it counts as a call")
		}
	})
}

func TestZone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(o *fleet.Options) { o.Balancer.Zone = balancer.ZonePreference{Zone: "a"} })
		in := func(e target.Endpoint, zone string) target.Endpoint {
			return with(e, func(e *target.Endpoint) { e.Zone = zone })
		}
		r.find(in(zh1, "a"), in(zh2, "b"))
		r.wantPicked("the own zone", "zh", "zh@h:1")
		l := r.pick("zh")
		r.find(in(zh1, "b"), in(zh2, "a"))
		r.wantPicked("hints may change", "zh", "zh@h:2")
		if n := r.dialer.Dials("zh@h:1"); n != 1 {
			t.Errorf("%d dials: a hint is no reason to attach anew", n)
		}
		l.Done(balancer.Answered)
		r.dialer.Session("zh@h:2").End(errors.New("gone"))
		r.dialer.Default(manualdial.Script{Hold: true})
		synctest.Wait()
		r.wantPicked("the other if need be", "zh", "zh@h:1")
	})
}

func TestEjectedIsNotPickedWhileOthersAreReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, func(o *fleet.Options) { o.Conn.EjectAfter = 3 })
		r.find(zh1, zh2)
		timeOut := func(id string) {
			for range 3 {
				l := r.pick("zh", map[string]string{"zh@h:1": "zh@h:2", "zh@h:2": "zh@h:1"}[id])
				if l.Endpoint() != id {
					t.Fatalf("%s was picked", l.Endpoint())
				}
				l.Done(balancer.TimedOut)
			}
			synctest.Wait()
		}
		r.forget()
		timeOut("zh@h:1")
		r.wantStatus("one is slow", "zh", "READY zh@h:1 ejected; READY zh@h:2")
		r.wantPicked("the other is not", "zh", "zh@h:2")
		r.wantEvents("said", "ejected zh@h:1: 3 calls in a row timed out")
		for range 3 {
			r.pick("zh").Done(balancer.TimedOut)
		}
		r.wantStatus("never all of them", "zh", "READY zh@h:1; READY zh@h:2")
		r.wantPicked("both are better than none", "zh", "zh@h:1", "zh@h:2")
		r.wantEvents("said of the other, too", "ejected zh@h:2: 3 calls in a row timed out")
		r.pass(7 * time.Second)
		timeOut("zh@h:2")
		r.wantPicked("both had come back, as they answer pings", "zh", "zh@h:1")
		r.find(zh1)
		timeOut("zh@h:1")
		r.wantStatus("the last one standing", "zh", "READY zh@h:1")
		r.wantPicked("as there is no other", "zh", "zh@h:1")
	})
}

// TestPoolRenew holds that sessions which speak what is not wanted are made anew:
// those that are there, and one that is being made at that moment.
func TestPoolRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := run(t, nil)
		r.dialer.Set("zh@h:1", manualdial.Script{Info: conn.Info{Protocol: "grpc"}})
		r.dialer.Set("zh@h:2", manualdial.Script{Info: conn.Info{Protocol: "netrpc"}})
		r.dialer.Set("zh@h:3", manualdial.Script{Info: conn.Info{Protocol: "grpc"}, Hold: true})
		r.find(zh1, zh2, zh3)
		held, err := r.Pool("zh").Pick(t.Context(), "grpc", nil)
		if err != nil {
			t.Fatal(err)
		}
		for id, protocol := range map[string]string{"zh@h:1": "netrpc", "zh@h:2": "grpc"} {
			r.dialer.Set(id, manualdial.Script{Info: conn.Info{Protocol: protocol}})
		}
		r.Pool("zh").Renew(func(info conn.Info) bool { return info.Protocol != "netrpc" })
		r.pass(time.Second)
		r.wantStatus("the others are as they were", "zh", "READY zh@h:1; READY zh@h:2; CONNECTING zh@h:3")
		if n := r.dialer.Dials("zh@h:1"); n != 2 {
			t.Errorf("the stale session was dialled %d times, want 2", n)
		}
		if n := r.dialer.Dials("zh@h:2"); n != 1 {
			t.Errorf("the good session was dialled %d times, want 1", n)
		}
		if r.dialer.Sessions("zh@h:1")[0].Closed() {
			t.Error("a session was closed under a call")
		}
		held.Done(balancer.Answered)
		if s, _ := r.Plugin("zh"); s.Endpoints[0].Failures != 0 {
			t.Errorf("renewal counts as %d failures", s.Endpoints[0].Failures)
		}
		r.dialer.Set("zh@h:3", manualdial.Script{Info: conn.Info{Protocol: "grpc"}}) // releases the dial
		synctest.Wait()
		r.dialer.Set("zh@h:3", manualdial.Script{Info: conn.Info{Protocol: "netrpc"}})
		r.pass(time.Minute)
		r.wantStatus("all speak it", "zh", "READY zh@h:1; READY zh@h:2; READY zh@h:3")
		for range 30 {
			l, err := r.Pool("zh").Pick(t.Context(), "netrpc", nil)
			if err != nil {
				t.Fatal(err)
			}
			l.Done(balancer.Answered)
		}
		if _, err := r.Pool("zh").Pick(t.Context(), "grpc", nil); !errors.Is(err, fleet.ErrOtherDialect) {
			t.Errorf("got %v, want that none speaks gRPC any more", err)
		}
	})
}
