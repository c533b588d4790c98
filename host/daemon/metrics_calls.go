// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"maps"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reattach/reattach/host/stub"
)

// calls observes the calls of one kind of a plugin.
func (m *metrics) calls(plugin, kind string) *callMetrics {
	c := &callMetrics{metrics: m, plugin: plugin, kind: kind}
	c.kept.Store(&keptSeries{})
	return c
}

// callMetrics keeps the series of the methods that are called: to find them by
// their labels takes longer than to count.
type callMetrics struct {
	*metrics
	plugin, kind string
	kept         atomic.Pointer[keptSeries]
	// answered says that a call had a result: the plugin serves the kind.
	answered atomic.Bool
}

// keptSeries never changes. It is of no use any more once series have been
// deleted, as its own may be among them.
type keptSeries struct {
	forgotten uint64
	methods   map[string]methodSeries
}

// methodSeries is what every call of a method counts in.
type methodSeries struct {
	good prometheus.Counter
	took prometheus.Observer
}

// Called implements stub.Observer.
func (m *callMetrics) Called(call stub.Call) {
	series := m.series(call.Method)
	if call.Err == nil {
		series.good.Inc()
		if !m.answered.Load() {
			m.answered.Store(true)
		}
	} else {
		m.called.WithLabelValues(m.plugin, m.kind, call.Method, string(stub.SourceOf(call.Err))).Inc()
	}
	series.took.Observe(call.Took.Seconds())
	if call.Attempts > 1 {
		m.retried.WithLabelValues(m.plugin, m.kind, call.Method).Add(float64(call.Attempts - 1))
	}
	if call.Repeats > 0 {
		m.repeated.WithLabelValues(m.plugin, m.kind, call.Method).Add(float64(call.Repeats))
	}
}

func (m *callMetrics) series(method string) methodSeries {
	forgotten := m.forgotten.Load()
	kept := m.kept.Load()
	if kept.forgotten != forgotten {
		kept = &keptSeries{forgotten: forgotten}
	}
	if series, ok := kept.methods[method]; ok {
		return series
	}
	series := methodSeries{
		good: m.called.WithLabelValues(m.plugin, m.kind, method, "none"),
		took: m.took.WithLabelValues(m.plugin, m.kind, method),
	}
	// Who is overtaken here by another call is remembered next time.
	next := &keptSeries{forgotten: forgotten, methods: map[string]methodSeries{method: series}}
	maps.Copy(next.methods, kept.methods)
	m.kept.Store(next)
	return series
}
