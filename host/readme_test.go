// SPDX-License-Identifier: MPL-2.0

package main

import (
	"flag"
	"testing"

	"github.com/reattach/reattach/test/kit"
)

var write = flag.Bool("write", false, "write the environment's table into the page instead of comparing it")

// TestEnvironmentTable holds that the table of docs/reference.md is what the code says. Run
// generate.sh in this directory to write it anew.
func TestEnvironmentTable(t *testing.T) {
	kit.Section(t, "../docs/reference.md", "<!-- environment: begin -->\n", "<!-- environment: end -->",
		program().EnvironmentTable(), "host/generate.sh", *write)
}
