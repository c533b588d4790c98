// SPDX-License-Identifier: MPL-2.0

package main

import (
	"flag"
	"testing"

	"github.com/reattach/reattach/test/kit"
)

var write = flag.Bool("write", false, "write the environment's table into the README instead of comparing it")

// TestEnvironmentTable holds that the README's table is what the code says. Run
// generate.sh in this directory to write it anew.
func TestEnvironmentTable(t *testing.T) {
	kit.Section(t, "../README.md", "<!-- environment: begin -->\n", "<!-- environment: end -->",
		program().EnvironmentTable(), "host/generate.sh", *write)
}
