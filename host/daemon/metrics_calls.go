// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"maps"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reattach/reattach/host/history"
	"github.com/reattach/reattach/host/stub"
)

// calls observes the calls of one kind of a plugin.
func (m *metrics) calls(plugin, kind string) *callMetrics {
	c := &callMetrics{metrics: m, plugin: plugin, kind: kind}
	c.kept.Store(&keptSeries{})
	return c
}

// callMetrics counts the calls of one kind of a plugin.
type callMetrics struct {
	*metrics
	plugin, kind string
	kept         atomic.Pointer[keptSeries]
	// answered says that a call had a result: the plugin serves the kind.
	answered atomic.Bool
}

// Called implements stub.Observer.
func (m *callMetrics) Called(call stub.Call) {
	series := m.series(call.Method)
	failed := history.None
	if call.Err != nil {
		source := stub.SourceOf(call.Err)
		failed = sideOf(source)
		m.called.WithLabelValues(m.plugin, m.kind, call.Method, string(source)).Inc()
	} else {
		series.good.Inc()
		if !m.answered.Load() {
			m.answered.Store(true)
		}
	}
	series.took.Observe(call.Took.Seconds())
	series.history.Called(call.Took, failed)
	if call.Attempts > 1 {
		m.retried.WithLabelValues(m.plugin, m.kind, call.Method).Add(float64(call.Attempts - 1))
	}
	if call.Repeats > 0 {
		m.repeated.WithLabelValues(m.plugin, m.kind, call.Method).Add(float64(call.Repeats))
	}
}

// keptSeries are the series of the methods that were called, as to find them by their
// labels takes longer than to count. It never changes, and is void once series have been
// deleted: its own may be among them.
type keptSeries struct {
	deletions uint64
	methods   map[string]methodSeries
}

// methodSeries is what each call of a method counts in.
type methodSeries struct {
	good prometheus.Counter
	took prometheus.Observer
	// history is nil if it has no room for the method.
	history *history.Method
}

func sideOf(source stub.Source) history.Source {
	switch source {
	case stub.SourceHost:
		return history.Host
	case stub.SourceNetwork:
		return history.Network
	}
	return history.Plugin
}

func (m *callMetrics) series(method string) methodSeries {
	kept, deletions := m.kept.Load(), m.deletions.Load()
	if kept.deletions != deletions {
		kept = &keptSeries{deletions: deletions}
	}
	series, ok := kept.methods[method]
	if !ok {
		series.good = m.called.WithLabelValues(m.plugin, m.kind, method, "none")
		series.took = m.took.WithLabelValues(m.plugin, m.kind, method)
		series.history = m.history.Method(m.plugin, m.kind, method)
		// If another call stores its own meanwhile, one of the two is kept next time.
		next := &keptSeries{deletions, map[string]methodSeries{method: series}}
		maps.Copy(next.methods, kept.methods)
		m.kept.Store(next)
	}
	return series
}
