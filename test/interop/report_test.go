// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
)

// reportEnv names a file to which the tests append their tables and figures.
// make prints it, because go test keeps the output of passing packages.
const reportEnv = "INTEROP_REPORT"

// report logs a text and appends it to the report's file, if there is one.
func report(t *testing.T, text string) {
	t.Helper()
	t.Log("\n" + text)
	path := os.Getenv(reportEnv)
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatalf("open the report: %v", err)
	}
	defer f.Close()
	if _, err := f.WriteString(text + "\n"); err != nil {
		t.Fatalf("write the report: %v", err)
	}
}

// print reports a row for each cell and a total. A cell without a result, which
// only a bug in the tests can leave behind, is an error.
func (m *matrixReport) print(t *testing.T) {
	t.Helper()
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 8, 2, ' ', 0)
	fmt.Fprint(table, "protocol\ttls\tcallback\tattach")
	for _, p := range pairs() {
		fmt.Fprintf(table, "\t%s-%s", p.host, p.plugin)
	}
	fmt.Fprintln(table, "\trefusal by upstream")
	var ran, refused, differ, missing, checks int
	forced := map[pair]int{}
	for _, c := range cells() {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s", c.protocol, c.tls, c.callback, c.attach)
		for _, p := range pairs() {
			r, ok := m.results[c][p]
			word := "same"
			switch {
			case !ok:
				word = "MISSING"
				missing++
			case !r.same:
				word = "DIFFERS"
				differ++
			case p == pair{upstream, upstream}:
				word = "truth"
			}
			if ok && r.refused != "" {
				refused++
			} else if ok {
				ran++
			}
			checks += r.checks
			if r.forced {
				forced[p]++
			}
			fmt.Fprintf(table, "\t%s %d", word, r.checks)
		}
		fmt.Fprintf(table, "\t%s\n", m.results[c][pair{upstream, upstream}].refused)
	}
	if err := table.Flush(); err != nil {
		t.Fatalf("lay out the table: %v", err)
	}
	fmt.Fprintf(&text, "interop matrix (host-plugin, checks in each): %d cells: %d served, %d refused as upstream refuses, %d differ, %d missing; %d checks\n",
		len(cells())*len(pairs()), ran, refused, differ, missing, checks)
	for _, p := range pairs() {
		fmt.Fprintf(&text, "%s: in %d cells the plugin ended before it had answered the request to end, and was killed\n", p, forced[p])
	}
	text.WriteString(m.tolerated.String())
	report(t, text.String())
	if missing > 0 {
		t.Errorf("%d cells have no result", missing)
	}
}
