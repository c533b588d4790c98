// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/target"
)

// BenchmarkThousandServices measures how long 1,000 Services of 5 endpoints take to be
// known, what they keep of the heap, and how long the change of one takes to be known.
func BenchmarkThousandServices(b *testing.B) {
	a := newAPI(b)
	const services, each = 1000, 5
	for i := range services {
		name := fmt.Sprintf("plugin-%04d", i)
		a.put(service("ns", name), slice("ns", name, name, pods(i*each, each)...))
	}
	for b.Loop() {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		source, err := New(Options{Config: a.config(), Namespaces: []string{"ns"}})
		if err != nil {
			b.Fatal(err)
		}
		m, err := discovery.NewManager(discovery.Options{Sources: []discovery.Source{source}})
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		begun := time.Now()
		go func() { ended <- m.Run(ctx) }()
		set := await(b, m, func(s *discovery.Set) bool { return len(s.Endpoints) == services*each })
		b.ReportMetric(float64(time.Since(begun).Milliseconds()), "ms/sync")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB-heap")
		begun = time.Now()
		for range 20 {
			gone := set.Endpoints[0].ID
			name := set.Endpoints[0].Plugin
			a.put(slice("ns", name, name, pods(1<<20+int(set.Generation)*each, each)...))
			set = await(b, m, func(s *discovery.Set) bool {
				return !slices.ContainsFunc(s.Endpoints[:each], func(e target.Endpoint) bool { return e.ID == gone })
			})
		}
		b.ReportMetric(float64(time.Since(begun).Microseconds())/20_000, "ms/change")
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
}

func await(b *testing.B, m *discovery.Manager, done func(*discovery.Set) bool) *discovery.Set {
	b.Helper()
	timeout := time.NewTimer(time.Minute)
	defer timeout.Stop()
	for {
		select {
		case set := <-m.Sets():
			if done(set) {
				return set
			}
		case <-timeout.C:
			b.Fatal("no such set within a minute")
		}
	}
}
