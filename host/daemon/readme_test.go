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
	_, program, ok := strings.Cut(string(source), "package daemon_test\n")
	if !ok {
		t.Fatal("example_test.go is of another package")
	}
	// The page shows it as a program, to be copied as it stands.
	program = "package main\n" + strings.Replace(program, "func Example() {", "func main() {", 1)
	kit.Section(t, "../../README.md", "<!-- example: begin -->\n```go\n", "```\n<!-- example: end -->",
		strings.Replace(program, "// This is the example of the README.\n", "", 1), "host/daemon/generate.sh", *write)
}
