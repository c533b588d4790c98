// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/reattach/reattach/test/kit"
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
	kit.Section(t, "../../README.md", "<!-- example: begin -->\n```go\n", "```\n<!-- example: end -->",
		want.String(), "host/daemon/generate.sh", *write)
}
