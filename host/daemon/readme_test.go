// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	readme       = "../../README.md"
	exampleBegin = "<!-- example: begin -->\n```go\n"
	exampleEnd   = "```\n<!-- example: end -->"
)

var write = flag.Bool("write", false, "write the example into the README instead of comparing it")

// TestReadmeExample holds that the README's example is the one that compiles. Run
// generate.sh in this directory to write it anew.
func TestReadmeExample(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, body, ok := strings.Cut(string(source), "func Example() {\n")
	body, found := strings.CutSuffix(body, "}\n")
	if !ok || !found {
		t.Fatal("example_test.go does not end with func Example")
	}
	var want strings.Builder
	for line := range strings.Lines(body) {
		want.WriteString(strings.TrimPrefix(line, "\t"))
	}
	raw, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(raw), exampleBegin)
	written, after, closed := strings.Cut(rest, exampleEnd)
	if !ok || !closed {
		t.Fatalf("%s has no place for the example", readme)
	}
	if *write {
		if err := os.WriteFile(readme, []byte(before+exampleBegin+want.String()+exampleEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want.String(), written); diff != "" {
		t.Errorf("run host/daemon/generate.sh: (-code +README)\n%s", diff)
	}
}
