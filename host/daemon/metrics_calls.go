// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"sync/atomic"

	"github.com/reattach/reattach/host/stub"
)

// calls observes the calls of one kind of a plugin.
func (m *metrics) calls(plugin, kind string) *callMetrics {
	return &callMetrics{metrics: m, plugin: plugin, kind: kind}
}

// callMetrics counts the calls of one kind of a plugin.
type callMetrics struct {
	*metrics
	plugin, kind string
	// answered says that a call had a result: the plugin serves the kind.
	answered atomic.Bool
}

// Called implements stub.Observer.
func (m *callMetrics) Called(call stub.Call) {
	source := "none"
	if call.Err != nil {
		source = string(stub.SourceOf(call.Err))
	} else if !m.answered.Load() {
		m.answered.Store(true)
	}
	m.called.WithLabelValues(m.plugin, m.kind, call.Method, source).Inc()
	m.took.WithLabelValues(m.plugin, m.kind, call.Method).Observe(call.Took.Seconds())
	if call.Attempts > 1 {
		m.retried.WithLabelValues(m.plugin, m.kind, call.Method).Add(float64(call.Attempts - 1))
	}
	if call.Repeats > 0 {
		m.repeated.WithLabelValues(m.plugin, m.kind, call.Method).Add(float64(call.Repeats))
	}
}
