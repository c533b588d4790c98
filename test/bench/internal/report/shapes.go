// SPDX-License-Identifier: MPL-2.0

package report

import (
	"fmt"

	"github.com/reattach/reattach/test/bench/internal/plan"
	"github.com/reattach/reattach/test/bench/internal/series"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

func idles(sections []plan.Section) []column {
	var columns []column
	for _, s := range sections {
		if n := series.Idle(s.Request.Count); s.Request.Op == wire.Idle {
			columns = append(columns,
				column{fmt.Sprintf("%d: host CPU", n), n.HostCPU(), percent}, column{"plugins' CPU", n.PluginCPU(), percent},
				column{"memory, KB", n.Memory(), kilo}, column{"of it host", n.HostMemory(), kilo},
				column{"goroutines", n.Goroutines(), plain}, column{"of them host", n.HostGoroutines(), plain})
		}
	}
	return columns
}

// smalls has a row for each subject and load of small calls beside large ones.
func smalls(d *series.Data, sections []plan.Section) Table {
	t := Table{
		Title: "Small calls beside large ones, ms", Head: []string{"", "half took at most", "99 of 100", "longest", "the large one", "failed"},
		Note: "One small call every 10 ms, on loopback every 1 ms, whether or not those before it were answered. Medians of all rounds, and quartiles.",
	}
	for _, s := range sections {
		if s.Request.Op != wire.Small {
			continue
		}
		for _, one := range s.Subjects {
			if len(d.Points(series.Key{Subject: one.Name, Measure: s.Beside.P99()})) == 0 {
				continue
			}
			row := []string{one.Name + " " + s.Name}
			for _, c := range []column{
				{"", s.Beside.P50(), milli}, {"", s.Beside.P99(), milli}, {"", s.Beside.Max(), milli}, {"", s.Beside.Large(), milli}, {"", s.Beside.Failed(), plain},
			} {
				row = append(row, spread(series.Summarize(d.Values(series.Key{Subject: one.Name, Measure: c.measure})), c.format))
			}
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}
