// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"crypto/tls"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/tlsfile"
	"github.com/prometheus/client_golang/prometheus"
)

// certificate tells, when somebody asks, how long the certificate holds that the host
// shows plugins. What a plugin shows the plugin tells: a session may have begun with a
// certificate that was renewed since.
type certificate struct {
	shown               *tls.Config // reads the files
	notBefore, notAfter *prometheus.Desc
}

// newCertificate returns nil for a host that shows none.
func newCertificate(d *Daemon) prometheus.Collector {
	if d.opts.TLS.Cert == "" {
		return nil
	}
	// New has found the files good. What is wrong with them later is told by the
	// connections that need them.
	shown, err := tlsfile.Client(d.opts.TLS, "", hclog.NewNullLogger())
	if err != nil {
		return nil
	}
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("reattach_"+name, help, labels, nil)
	}
	return &certificate{
		shown:     shown,
		notBefore: desc("certificate_not_before_timestamp_seconds", "When the certificate began of which the next metric tells."),
		notAfter:  desc("certificate_not_after_timestamp_seconds", "When the certificate that the host shows plugins ends, or the first of its chain."),
	}
}

// Describe implements prometheus.Collector.
func (c *certificate) Describe(out chan<- *prometheus.Desc) { out <- c.notBefore; out <- c.notAfter }

// Collect implements prometheus.Collector.
func (c *certificate) Collect(out chan<- prometheus.Metric) {
	first := tlsfile.FirstToEnd(c.shown)
	if first == nil {
		return
	}
	gauge := func(desc *prometheus.Desc, at time.Time) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(at.Unix()))
	}
	gauge(c.notBefore, first.NotBefore)
	gauge(c.notAfter, first.NotAfter)
}
