// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// build is a metric that is always 1, with what the program was built from as labels.
type build struct{ prometheus.Metric }

func newBuild() build {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("reattach_"+name, help, labels, nil)
	}
	version, revision := "", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
	}
	return build{prometheus.MustNewConstMetric(
		desc("build_info", "What the program was built from; always 1.", "version", "revision", "goversion"),
		prometheus.GaugeValue, 1, version, revision, runtime.Version(),
	)}
}

// Describe implements prometheus.Collector.
func (b build) Describe(out chan<- *prometheus.Desc) { out <- b.Desc() }

// Collect implements prometheus.Collector.
func (b build) Collect(out chan<- prometheus.Metric) { out <- b.Metric }
