// SPDX-License-Identifier: MPL-2.0

package main

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	readme     = "../README.md"
	tableBegin = "<!-- environment: begin -->\n"
	tableEnd   = "<!-- environment: end -->"
)

var write = flag.Bool("write", false, "write the environment's table into the README instead of comparing it")

// TestEnvironmentTable holds that the README's table is what the code says. Run
// generate.sh in this directory to write it anew.
func TestEnvironmentTable(t *testing.T) {
	raw, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), tableBegin)
	written, after, closed := strings.Cut(rest, tableEnd)
	if !ok || !closed {
		t.Fatalf("%s has no place for the table, between %q and %q", readme, tableBegin, tableEnd)
	}
	if *write {
		page := before + tableBegin + program().EnvironmentTable() + tableEnd + after
		if err := os.WriteFile(readme, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(program().EnvironmentTable(), written); diff != "" {
		t.Errorf("run host/generate.sh: (-code +README)\n%s", diff)
	}
}
