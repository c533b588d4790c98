// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"errors"
	"maps"
	"sync/atomic"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reattach/reattach/host/fleet"
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
	if call.Err == nil && !m.answered.Load() {
		m.answered.Store(true)
	}
	// What most calls count is found without a lock: a series that was deleted meanwhile
	// counts for nobody.
	if series, ok := m.keptSeries(call.Method); ok && call.Err == nil && call.Attempts <= 1 && call.Repeats == 0 {
		series.count(&call)
		return
	}
	count := func() {
		m.series(call.Method).count(&call)
		if call.Err != nil {
			m.called.WithLabelValues(m.plugin, m.kind, call.Method, string(stub.SourceOf(call.Err))).Inc()
		}
		if call.Attempts > 1 {
			m.retried.WithLabelValues(m.plugin, m.kind, call.Method).Add(float64(call.Attempts - 1))
		}
		if call.Repeats > 0 {
			m.repeated.WithLabelValues(m.plugin, m.kind, call.Method).Add(float64(call.Repeats))
		}
	}
	// A call that fails because no source knows the plugin is made by whoever still has its
	// stub, and an outage that nothing else shows any more.
	if _, gone := errors.AsType[*fleet.UnknownPluginError](call.Err); gone {
		count()
		return
	}
	m.ifKnown(m.plugin, count)
}

// keptSeries are the series of the methods that were called, as to find them by their
// labels takes longer than to count. They never change, and are void once series have been
// deleted: their own may be among them.
type keptSeries struct {
	deletions uint64
	methods   map[string]*methodSeries
	latest    atomic.Pointer[methodSeries] // one of them: that which was found last
}

// methodSeries is what each call of a method counts in.
type methodSeries struct {
	method string
	good   prometheus.Counter
	took   prometheus.Observer
	// history is nil if it has no room for the method.
	history *history.Method
}

// observe counts how long a call took, with the trace that shows it as the exemplar.
func (s *methodSeries) observe(call *stub.Call) {
	took := call.Took.Seconds()
	if call.TraceID != "" && fitsExemplar(call.TraceID) {
		if with, ok := s.took.(prometheus.ExemplarObserver); ok {
			with.ObserveWithExemplar(took, prometheus.Labels{"trace_id": call.TraceID})
			return
		}
	}
	s.took.Observe(took)
}

// fitsExemplar reports whether an ID, which is its Tracer's, can stand in an exemplar:
// Prometheus panics otherwise.
func fitsExemplar(id string) bool {
	return utf8.ValidString(id) && len("trace_id")+utf8.RuneCountInString(id) <= prometheus.ExemplarMaxRunes
}

// count counts what every call is counted in.
func (s *methodSeries) count(call *stub.Call) {
	failed := history.None
	if call.Err != nil {
		failed = sideOf(stub.SourceOf(call.Err))
	} else {
		s.good.Inc()
	}
	s.observe(call)
	s.history.Called(call.Took, failed)
}

func sideOf(source stub.Source) history.Source {
	switch source {
	case stub.SourceCaller:
		return history.Caller
	case stub.SourceHost:
		return history.Host
	case stub.SourceNetwork:
		return history.Network
	}
	return history.Plugin
}

// keptSeries gives the series of a method, if they were made and not deleted since.
func (m *callMetrics) keptSeries(method string) (*methodSeries, bool) {
	kept := m.kept.Load()
	series := kept.latest.Load()
	if series == nil || series.method != method {
		if series = kept.methods[method]; series == nil {
			return nil, false
		}
		kept.latest.Store(series)
	}
	return series, kept.deletions == m.deletions.Load()
}

// series gives the series of a method, and makes them if there are none. It is called with
// a plugin that is known, within ifKnown.
func (m *callMetrics) series(method string) *methodSeries {
	series, ok := m.keptSeries(method)
	if ok {
		return series
	}
	series = &methodSeries{
		method:  method,
		good:    m.called.WithLabelValues(m.plugin, m.kind, method, string(stub.SourceNone)),
		took:    m.took.WithLabelValues(m.plugin, m.kind, method),
		history: m.history.Method(m.plugin, m.kind, method),
	}
	// If another call stores its own meanwhile, one of the two is kept next time.
	kept, deletions := m.kept.Load(), m.deletions.Load()
	next := &keptSeries{deletions: deletions, methods: map[string]*methodSeries{}}
	if kept.deletions == deletions {
		maps.Copy(next.methods, kept.methods)
	}
	next.methods[method] = series
	m.kept.Store(next)
	return series
}
