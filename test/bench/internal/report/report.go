// SPDX-License-Identifier: MPL-2.0

package report

import (
	"fmt"
	"time"

	"github.com/reattach/reattach/test/bench/internal/bounds"
	"github.com/reattach/reattach/test/bench/internal/plan"
	"github.com/reattach/reattach/test/bench/internal/series"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

// Tables gives all tables of what was measured.
func Tables(d *series.Data, sections []plan.Section, results []bounds.Result) []Table {
	var loads []series.Calls
	for _, s := range sections {
		if s.Calls.Callers > 0 {
			loads = append(loads, s.Calls)
		}
	}
	all := []Table{
		grid(d, "Time of a call, µs", "Medians of all rounds, and quartiles. With several callers it is the time by how many calls were answered.",
			loads, series.Calls.Time, micro),
		grid(d, "Single calls, µs: 99 of 100 took at most", "Medians of all rounds, and quartiles.", loads, series.Calls.P99, micro),
		grid(d, "Processor time of both sides for 10,000 calls, ms", "User and system, medians and quartiles.", loads, series.Calls.CPU, milli),
		measures(d, "A session or an endpoint", "Attach: to the first answered call; of pingpong-tcp, to the third. Memory: heap and stacks in use, both sides.",
			[]column{
				{"attach, µs", series.Attach, micro}, {"memory, KB", series.Memory, kilo}, {"of it host", series.HostMemory, kilo},
				{"heap", series.Heap, kilo}, {"stacks", series.Stack, kilo},
				{"goroutines", series.Goroutines, plain}, {"of them host", series.HostGoroutines, plain},
			}),
		measures(d, "Many endpoints at once, until all are ready, ms", "", fleets(sections)),
		killed(d),
		smalls(d, sections),
		measures(d, "A message of 1 KiB in a stream, µs", "", []column{{"to the host", series.Feed, micro}, {"to the plugin", series.Pour, micro}}),
		measures(d, "Calls that were given up after 1 ms", "Of 64 callers. CPU and memory: of both sides, when all have been given up.",
			[]column{
				{"99 of 100 came back after, ms more", series.CancelLate, milli}, {"running after 100 ms", series.CancelBusy, plain},
				{"CPU then", series.CancelCPU, percent}, {"memory, KB", series.CancelMemory, kilo},
			}),
		measures(d, "Endpoints of as many plugins that nobody calls", "CPU: of all. Memory and goroutines: of each, both sides.", idles(sections)),
		judged(results),
	}
	var some []Table
	for _, t := range all {
		if len(t.Rows) > 0 {
			some = append(some, t)
		}
	}
	return some
}

type column struct {
	head, measure string
	format        func(float64) string
}

// grid has a row for each subject and a column for each load.
func grid(d *series.Data, title, note string, loads []series.Calls, measure func(series.Calls) string, format func(float64) string) Table {
	var columns []column
	seen := make(map[series.Calls]bool)
	for _, l := range loads {
		if !seen[l] {
			columns = append(columns, column{l.String(), measure(l), format})
		}
		seen[l] = true
	}
	return measures(d, title, note, columns)
}

func fleets(sections []plan.Section) []column {
	var columns []column
	for _, s := range sections {
		if n := series.Fleet(s.Request.Count); s.Request.Op == wire.Fleet {
			columns = append(columns,
				column{fmt.Sprintf("%d: wall", n), n.Wall(), milli}, column{"host CPU", n.HostCPU(), milli}, column{"CPU of both", n.CPU(), milli})
		}
	}
	return columns
}

// measures has a row for each subject that has any of the columns.
func measures(d *series.Data, title, note string, columns []column) Table {
	t := Table{Title: title, Note: note, Head: []string{""}}
	used := make([]bool, len(columns))
	for i, c := range columns {
		for _, s := range plan.Subjects() {
			used[i] = used[i] || len(d.Points(series.Key{Subject: s.Name, Measure: c.measure})) > 0
		}
		if used[i] {
			t.Head = append(t.Head, c.head)
		}
	}
	for _, s := range plan.Subjects() {
		row, any := []string{s.Name}, false
		for i, c := range columns {
			if !used[i] {
				continue
			}
			sum := series.Summarize(d.Values(series.Key{Subject: s.Name, Measure: c.measure}))
			row = append(row, spread(sum, c.format))
			any = any || sum.Count > 0
		}
		if any {
			t.Rows = append(t.Rows, row)
		}
	}
	return t
}

func killed(d *series.Data) Table {
	t := Table{
		Title: "SIGKILL of the endpoint in use, two others ready: ms to an answer", Head: []string{"", "kills", "median", "maximum"},
		Note: "In use: the call that was in that endpoint, answered by another. Next: a call made right after.",
	}
	for _, subject := range []string{"fleet-netrpc", "fleet-grpc"} {
		for _, m := range []struct{ text, measure string }{{"in use", series.KilledInUse}, {"next", series.KilledNext}} {
			s := series.Summarize(d.Values(series.Key{Subject: subject, Measure: m.measure}))
			if s.Count > 0 {
				t.Rows = append(t.Rows, []string{subject + ", " + m.text, fmt.Sprint(s.Count), milli(s.Median), milli(s.Max)})
			}
		}
	}
	return t
}

func judged(results []bounds.Result) Table {
	t := Table{
		Title: "Bounds", Head: []string{"", "measured", "quartiles", "bound", "rounds", "", "CPU"},
		Note: "Ratios are those of two measurements of the same round; the median of all rounds counts. CPU is that of the processor time of all processes.",
	}
	for _, r := range results {
		if r.Verdict == bounds.Missing {
			continue
		}
		format := ratio
		if r.Per.Subject == "" {
			format = [...]func(float64) string{bounds.Time: duration, bounds.Bytes: kilobytes, bounds.Share: percent, bounds.Count: plain}[r.Unit]
		}
		sign := "<= "
		if r.AtLeast {
			sign = ">= "
		}
		cpu := ""
		if r.CPU.Count > 0 {
			cpu = ratio(r.CPU.Median)
		}
		t.Rows = append(t.Rows, []string{
			r.Text, format(r.Value()), format(r.Summary.Low) + " .. " + format(r.Summary.High), sign + format(r.Limit),
			fmt.Sprint(r.Summary.Count), r.Verdict.String(), cpu,
		})
	}
	return t
}

func spread(s series.Summary, format func(float64) string) string {
	switch s.Count {
	case 0:
		return ""
	case 1:
		return format(s.Median)
	}
	return fmt.Sprintf("%s [%s..%s]", format(s.Median), format(s.Low), format(s.High))
}

func micro(ns float64) string    { return digits(ns / 1e3) }
func milli(ns float64) string    { return digits(ns / 1e6) }
func kilo(b float64) string      { return digits(b / 1e3) }
func plain(n float64) string     { return digits(n) }
func percent(x float64) string   { return digits(x*100) + " %" }
func kilobytes(b float64) string { return kilo(b) + " KB" }
func ratio(x float64) string     { return fmt.Sprintf("%.2f", x) }

func duration(ns float64) string {
	return time.Duration(ns).Round(10 * time.Microsecond).String()
}

// digits writes three of them, or what is before the point.
func digits(x float64) string {
	switch {
	case x >= 100 || x <= -100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10 || x <= -10:
		return fmt.Sprintf("%.1f", x)
	case x < 0.1 && x > -0.1:
		return fmt.Sprintf("%.3f", x)
	}
	return fmt.Sprintf("%.2f", x)
}
