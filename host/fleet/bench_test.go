// SPDX-License-Identifier: MPL-2.0

package fleet_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn/manualdial"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/target"
)

// grow has discovery find n endpoints of each plugin, and waits until all are
// ready.
func (r *rig) grow(n int, plugins ...string) {
	r.t.Helper()
	set := &discovery.Set{Synced: true}
	for _, name := range plugins {
		set.Plugins = append(set.Plugins, target.Plugin{Name: name})
		for i := range n {
			set.Endpoints = append(set.Endpoints, network(name, fmt.Sprintf("10.0.%d.%d:7000", i/250, i%250)))
		}
	}
	r.sets <- set
	r.await(func(v fleet.View) bool { return ready(v) == n*len(plugins) })
}

func ready(v fleet.View) int {
	n := 0
	for _, p := range v.Plugins {
		n += p.Ready
	}
	return n
}

// await waits for a view that is good.
func (r *rig) await(good func(fleet.View) bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 30*time.Second)
	defer cancel()
	v, err := r.Wait(ctx, 0)
	for err == nil && !good(v) {
		v, err = r.Wait(ctx, v.Generation)
	}
	if err != nil {
		r.t.Fatalf("%v; %d endpoints are ready", err, ready(r.View()))
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	r := run(t, nil)
	r.grow(100, "zh")
	pool := r.Pool("zh")
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		l, err := pool.Pick(ctx, "netrpc", nil)
		if err != nil {
			t.Fatal(err)
		}
		l.Done(balancer.Answered)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestThousandEndpoints holds what a large fleet costs, and how soon it knows.
func TestThousandEndpoints(t *testing.T) {
	const n = 1000
	r := run(t, func(o *fleet.Options) { o.Conn.PingInterval = time.Second })
	var before, after runtime.MemStats
	goroutines := runtime.NumGoroutine()
	runtime.GC()
	runtime.ReadMemStats(&before)
	at := time.Now()
	r.grow(n, "zh")
	took := time.Since(at)
	runtime.GC()
	runtime.ReadMemStats(&after)
	perEndpoint := float64(runtime.NumGoroutine()-goroutines) / n
	t.Logf("%d endpoints READY after %s; %.2f goroutines and %.1f KiB each", n, took, perEndpoint, float64(after.HeapAlloc-before.HeapAlloc)/n/1024)
	if perEndpoint > 1.5 {
		t.Errorf("%.2f goroutines for an endpoint, want one, and one for a probe now and then", perEndpoint)
	}
	r.dialer.Default(manualdial.Script{Err: errors.New("refused")})
	at = time.Now()
	for i := range n / 2 {
		r.dialer.Session(target.MakeID("zh", fmt.Sprintf("10.0.%d.%d:7000", i/250, i%250))).End(errors.New("killed"))
	}
	r.await(func(v fleet.View) bool { return ready(v) == n/2 })
	t.Logf("%d killed: states right after %s", n/2, time.Since(at))
}

// TestAllAreBackSoon holds that endpoints which were away for long are
// attached within five seconds of their return.
func TestAllAreBackSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 200
		r := run(t, nil)
		r.dialer.Default(manualdial.Script{Err: errors.New("refused")})
		set := &discovery.Set{Synced: true, Plugins: []target.Plugin{{Name: "zh"}}}
		for i := range n {
			set.Endpoints = append(set.Endpoints, network("zh", fmt.Sprintf("h:%d", i+1)))
		}
		r.sets <- set
		r.pass(10 * time.Minute)
		r.dialer.Default(manualdial.Script{})
		at := time.Now()
		r.await(func(v fleet.View) bool { return ready(v) == n })
		t.Logf("%d endpoints READY %s after their return", n, time.Since(at))
		if took := time.Since(at); took > 5*time.Second {
			t.Errorf("it took %s until all were back", took)
		}
	})
}

func BenchmarkPick(b *testing.B) {
	for _, n := range []int{3, 100, 1000} {
		b.Run(fmt.Sprintf("endpoints=%d", n), func(b *testing.B) {
			r := run(b, nil)
			r.grow(n, "zh")
			pool, ctx := r.Pool("zh"), b.Context()
			tried := []string{target.MakeID("zh", "10.0.0.1:7000")}
			pick := func(b *testing.B, tried []string) {
				l, err := pool.Pick(ctx, "netrpc", tried)
				if err != nil {
					b.Fatal(err)
				}
				l.Done(balancer.Answered)
			}
			b.Run("one", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					pick(b, nil)
				}
			})
			b.Run("parallel", func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						pick(b, nil)
					}
				})
			})
			b.Run("retry", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					pick(b, tried)
				}
			})
		})
	}
}

// BenchmarkView measures what one reader of the whole state costs.
func BenchmarkView(b *testing.B) {
	r := run(b, nil)
	r.grow(1000, "zh")
	b.ReportAllocs()
	for b.Loop() {
		r.View()
	}
}

// BenchmarkReattach measures one session's loss and return among many.
func BenchmarkReattach(b *testing.B) {
	for _, n := range []int{3, 1000} {
		b.Run(fmt.Sprintf("endpoints=%d", n), func(b *testing.B) {
			r := run(b, func(o *fleet.Options) {
				o.Conn.StableAfter = 1
				o.Conn.Backoff.Min, o.Conn.Backoff.Max = 1, 1
			})
			r.grow(n, "zh")
			id := target.MakeID("zh", "10.0.0.0:7000")
			b.ReportAllocs()
			for i := 1; b.Loop(); i++ {
				r.dialer.Session(id).End(errors.New("killed"))
				if _, err := r.dialer.WaitSession(b.Context(), id, i+1); err != nil {
					b.Fatal(err)
				}
				r.await(func(v fleet.View) bool { return v.Plugins[0].Endpoints[0].State.String() == "READY" })
			}
		})
	}
}
