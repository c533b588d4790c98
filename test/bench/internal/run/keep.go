// SPDX-License-Identifier: MPL-2.0

package run

import (
	"fmt"
	"time"

	"github.com/reattach/reattach/test/bench/internal/plan"
	"github.com/reattach/reattach/test/bench/internal/series"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

// tenThousand calls are what processor time is told for.
const tenThousand = 10_000

// keep takes a reply into the series.
func (r *Run) keep(s plan.Section, one plan.Subject, round int, reply wire.Reply) {
	add := func(measure string, value float64) {
		r.data.Add(series.Key{Subject: one.Name, Measure: measure}, series.Point{Round: round, Value: value})
	}
	switch s.Request.Op {
	case wire.Calls:
		c := reply.Calls
		add(s.Calls.Time(), c.PerCall)
		add(s.Calls.P50(), float64(c.P50))
		add(s.Calls.P99(), float64(c.P99))
		add(s.Calls.CPU(), float64(c.HostCPU+c.PluginCPU)/float64(c.Calls)*tenThousand)
	case wire.Attach:
		add(series.Attach, series.Summarize(numbers(reply.Times)).Median)
	case wire.Memory:
		host, plugin := reply.Memory.Host, reply.Memory.Plugin
		add(series.Memory, host.Bytes()+plugin.Bytes())
		add(series.HostMemory, host.Bytes())
		add(series.PluginMemory, plugin.Bytes())
		add(series.Heap, host.Heap+plugin.Heap)
		add(series.Stack, host.Stack+plugin.Stack)
		add(series.Goroutines, host.Goroutines+plugin.Goroutines)
		add(series.HostGoroutines, host.Goroutines)
	case wire.Fleet:
		n, e := series.Fleet(s.Request.Count), reply.Fleet
		add(n.Wall(), float64(e.Wall))
		add(n.HostCPU(), float64(e.HostCPU))
		add(n.CPU(), float64(e.HostCPU+e.PluginCPU))
	case wire.Small:
		w := reply.Small
		add(s.Beside.P50(), float64(w.P50))
		add(s.Beside.P99(), float64(w.P99))
		add(s.Beside.Max(), float64(w.Max))
		add(s.Beside.Large(), float64(w.Large))
		add(s.Beside.Failed(), float64(w.Failed))
		if w.Failed > 0 {
			fmt.Fprintf(r.Log, "%s %s: %d failed of %d: %s\n", one.Name, s.Name, w.Failed, w.Small, w.Failure)
		}
	case wire.Stream:
		add(series.Feed, reply.Stream.Feed)
		add(series.Pour, reply.Stream.Pour)
	case wire.Idle:
		n, i := series.Idle(s.Request.Count), reply.Idle
		add(n.HostCPU(), i.HostCPU)
		add(n.PluginCPU(), i.PluginCPU)
		add(n.Memory(), i.Host.Bytes()+i.Plugin.Bytes())
		add(n.HostMemory(), i.Host.Bytes())
		add(n.Goroutines(), i.Host.Goroutines+i.Plugin.Goroutines)
		add(n.HostGoroutines(), i.Host.Goroutines)
	case wire.Cancel:
		c := reply.Cancel
		add(series.CancelLate, float64(c.Late))
		add(series.CancelBusy, float64(c.Busy))
		add(series.CancelCPU, c.HostCPU+c.PluginCPU)
		add(series.CancelMemory, c.Memory)
	case wire.Kill:
		for i := range reply.Times {
			round = i // each kill stands for itself
			add(series.KilledInUse, float64(reply.Times[i]))
			add(series.KilledNext, float64(reply.Others[i]))
		}
	}
}

func numbers(times []time.Duration) []float64 {
	all := make([]float64, len(times))
	for i, t := range times {
		all[i] = float64(t)
	}
	return all
}
