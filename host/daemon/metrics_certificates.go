// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/tlsfile"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/reattach/reattach/host/conn"
)

// certificates tells, when somebody asks, how long the certificates hold that the host
// and its plugins show each other.
type certificates struct {
	d *Daemon
	// own reads the host's files, and is nil for a host without a certificate.
	own       *tls.Config
	host, all *prometheus.Desc
}

func newCertificates(d *Daemon) *certificates {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("reattach_"+name, help, labels, nil)
	}
	c := &certificates{
		d:    d,
		host: desc("certificate_not_after_timestamp_seconds", "When the certificate that the host shows plugins ends, or the first of its chain."),
		all:  desc("peer_certificate_not_after_timestamp_seconds", "When the first certificate ends that READY endpoints of the plugin showed.", "plugin"),
	}
	if d.opts.TLS.Cert != "" {
		// New has found the files good. What is wrong with them later is told by the
		// connections that need them.
		c.own, _ = tlsfile.Client(d.opts.TLS, "", hclog.NewNullLogger())
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *certificates) Describe(out chan<- *prometheus.Desc) { out <- c.host; out <- c.all }

// Collect implements prometheus.Collector.
func (c *certificates) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, at time.Time, labels ...string) {
		if !at.IsZero() {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(at.Unix()), labels...)
		}
	}
	gauge(c.host, c.ownNotAfter())
	for _, p := range c.d.Plugins() {
		var first time.Time
		for _, e := range p.Endpoints {
			if e.State == conn.Ready && !e.TLSNotAfter.IsZero() && (first.IsZero() || e.TLSNotAfter.Before(first)) {
				first = e.TLSNotAfter
			}
		}
		gauge(c.all, first, p.Name)
	}
}

// ownNotAfter is when the first certificate ends of the chain that is in force.
func (c *certificates) ownNotAfter() (first time.Time) {
	if c.own == nil || c.own.GetClientCertificate == nil {
		return first
	}
	shown, err := c.own.GetClientCertificate(new(tls.CertificateRequestInfo))
	if err != nil {
		return first
	}
	for _, der := range shown.Certificate {
		certificate, err := x509.ParseCertificate(der)
		if err == nil && (first.IsZero() || certificate.NotAfter.Before(first)) {
			first = certificate.NotAfter
		}
	}
	return first
}
