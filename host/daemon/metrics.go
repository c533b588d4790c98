// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/history"
)

// metrics counts what happens. Its series of a plugin go with the plugin.
type metrics struct {
	called     *prometheus.CounterVec
	took       *prometheus.HistogramVec
	retried    *prometheus.CounterVec
	repeated   *prometheus.CounterVec
	attached   *prometheus.CounterVec
	reattached *prometheus.CounterVec
	failed     *prometheus.CounterVec
	history    *history.History

	// known reports whether the fleet has a plugin.
	known func(plugin string) bool
	// mu is held by forget, and read-locked from the look whether a plugin is known until
	// its series are made: what is forgotten does not come back with a call that ends late.
	mu        sync.RWMutex
	deletions atomic.Uint64 // of series
}

func newMetrics(known func(plugin string) bool) *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "reattach", Name: name, Help: help}, labels)
	}
	return &metrics{
		known:   known,
		history: history.New(),
		called: counter("calls_total", "Calls that ended, by whose error it was: none, plugin, network, host or caller.",
			"plugin", "kind", "method", "error_source"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "reattach", Name: "call_duration_seconds", Help: "How long calls took, all attempts together.",
			// A scrape that takes native histograms learns all from those; the few
			// classic buckets are for one that does not.
			Buckets:                        []float64{.01, .1, 1},
			NativeHistogramBucketFactor:    1.1,
			NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
		}, []string{"plugin", "kind", "method"}),
		retried:    counter("call_retries_total", "Attempts of calls after their first.", "plugin", "kind", "method"),
		repeated:   counter("call_repeats_total", "Attempts of idempotent calls that were made although one before may have run.", "plugin", "kind", "method"),
		attached:   counter("attaches_total", "Sessions that were made with endpoints.", "plugin"),
		reattached: counter("reconnects_total", "Sessions that took the place of one that had ended.", "plugin"),
		failed:     counter("attach_failures_total", "Attempts to make a session that failed, and sessions that were lost.", "plugin"),
	}
}

// register adds everything to r, or nothing.
func (m *metrics) register(r prometheus.Registerer, d *Daemon) error {
	all := []prometheus.Collector{newBuild(), newStates(d)}
	if c := newCertificate(d); c != nil {
		all = append(all, c)
	}
	for _, v := range m.vectors() {
		all = append(all, v)
	}
	for i, c := range all {
		if err := r.Register(c); err != nil {
			for _, done := range all[:i] {
				r.Unregister(done)
			}
			return fmt.Errorf("register metrics with option Registerer: %w", err)
		}
	}
	return nil
}

// vectors are all that have series of plugins.
func (m *metrics) vectors() []vector {
	return []vector{m.called, m.took, m.retried, m.repeated, m.attached, m.reattached, m.failed}
}

type vector interface {
	prometheus.Collector
	DeletePartialMatch(prometheus.Labels) int
}

// ifKnown calls count, which may make series of a plugin, unless it is not known any more.
func (m *metrics) ifKnown(plugin string, count func()) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.known(plugin) {
		count()
	}
}

// forget deletes the series of a plugin that is not known any more.
func (m *metrics) forget(plugin string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.vectors() {
		v.DeletePartialMatch(prometheus.Labels{"plugin": plugin})
	}
	m.history.Forget(plugin)
	m.deletions.Add(1) // the last: what was kept before may be of a deleted series
}

// observe counts what a Conn tells, from the Conn's goroutine.
func (m *metrics) observe(c *conn.Conn, before, after *conn.Status) {
	plugin := c.Endpoint().Plugin
	m.ifKnown(plugin, func() { m.count(plugin, before, after) })
}

func (m *metrics) count(plugin string, before, after *conn.Status) {
	if after.Sessions > before.Sessions {
		m.attached.WithLabelValues(plugin).Inc()
		if before.Sessions > 0 {
			m.reattached.WithLabelValues(plugin).Inc()
		}
	}
	if after.State == conn.TransientFailure && before.State != conn.TransientFailure && !errors.Is(after.Err, conn.ErrGraceful) {
		m.failed.WithLabelValues(plugin).Inc()
	}
}

// states tells how things are when somebody asks; it keeps nothing.
type states struct {
	d                                   *Daemon
	endpoints, ready, inFlight, waiting *prometheus.Desc
	ejected                             *prometheus.Desc

	found, inStep, since, problems *prometheus.Desc // of discovery
}

func newStates(d *Daemon) *states {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("reattach_"+name, help, labels, nil)
	}
	return &states{
		d:         d,
		endpoints: desc("endpoints", "Endpoints by state.", "plugin", "state"),
		ejected:   desc("endpoints_ejected", "Endpoints that are READY and get no calls, as they did not answer; absent for none.", "plugin"),
		ready:     desc("plugin_ready", "Whether the plugin has an endpoint that takes calls.", "plugin"),
		inFlight:  desc("calls_in_flight", "Calls that have been sent and not ended.", "plugin"),
		waiting:   desc("calls_waiting", "Calls that wait for an endpoint.", "plugin"),
		found:     desc("discovery_errors_total", "What went wrong in a discovery source.", "source"),
		inStep:    desc("discovery_in_step", "Whether a discovery source sees its subject as it is now.", "source"),
		since:     desc("discovery_in_step_changed_timestamp_seconds", "When a discovery source fell into step, or out of it.", "source"),
		problems:  desc("discovery_problems", "What a discovery source found and cannot offer as it stands.", "source"),
	}
}

// Describe implements prometheus.Collector.
func (s *states) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.endpoints, s.ejected, s.ready, s.inFlight, s.waiting, s.found, s.inStep, s.since, s.problems} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (s *states) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	for _, p := range s.d.Plugins() {
		ready, inFlight, ejected, byState := 0, 0, 0, make(map[conn.State]int)
		for _, e := range p.Endpoints {
			byState[e.State]++
			inFlight += e.InFlight
			if e.Ejected {
				ejected++
			}
		}
		if p.Ready {
			ready = 1
		}
		for _, state := range []conn.State{conn.Idle, conn.Connecting, conn.Ready, conn.TransientFailure, conn.Shutdown} {
			// READY is always there, the rest would be four lines of nothing for
			// every plugin.
			if n := byState[state]; n > 0 || state == conn.Ready {
				gauge(s.endpoints, n, p.Name, state.String())
			}
		}
		if ejected > 0 {
			gauge(s.ejected, ejected, p.Name)
		}
		gauge(s.ready, ready, p.Name)
		gauge(s.inFlight, inFlight, p.Name)
		gauge(s.waiting, p.Waiting, p.Name)
	}
	s.collectDiscovery(out, gauge)
}

func (s *states) collectDiscovery(out chan<- prometheus.Metric, gauge func(*prometheus.Desc, int, ...string)) {
	problems := make(map[string]int)
	for _, p := range s.d.manager.Current().Problems {
		problems[p.Source]++
	}
	for _, source := range s.d.manager.Status() {
		inStep := 0
		if source.Synced && source.LastError == nil {
			inStep = 1
		}
		gauge(s.inStep, inStep, source.Source)
		gauge(s.problems, problems[source.Source], source.Source)
		if !source.Since.IsZero() {
			gauge(s.since, int(source.Since.Unix()), source.Source)
		}
		out <- prometheus.MustNewConstMetric(s.found, prometheus.CounterValue, float64(source.Errors), source.Source)
	}
}
