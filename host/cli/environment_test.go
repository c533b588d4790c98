// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	readme     = "../../README.md"
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
		page := before + tableBegin + environmentTable() + tableEnd + after
		if err := os.WriteFile(readme, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(environmentTable(), written); diff != "" {
		t.Errorf("run host/cli/generate.sh: (-code +README)\n%s", diff)
	}
}

// TestNamesBesideKubernetes holds that no variable is one which Kubernetes sets in a
// pod for a Service whose name happens to fit.
func TestNamesBesideKubernetes(t *testing.T) {
	injected := regexp.MustCompile(`(_SERVICE_HOST|_SERVICE_PORT(_.*)?|_PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)
	for _, like := range []string{"BASIC_PORT", "BASIC_SERVICE_HOST", "BASIC_PORT_80_TCP_ADDR", "BASIC_SERVICE_PORT_HTTP"} {
		if !injected.MatchString(like) {
			t.Errorf("the pattern does not know %s", like)
		}
	}
	seen := map[string]bool{}
	for _, v := range environment() {
		if injected.MatchString(v.name) || v.name == "" || seen[v.name] || v.meaning == "" {
			t.Errorf("variable %+v: its name collides or is missing, or it does not say what it is for", v)
		}
		seen[v.name] = true
	}
}
