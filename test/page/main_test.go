// SPDX-License-Identifier: MPL-2.0

package page

import (
	"cmp"
	"os"
	"os/exec"
	"testing"

	"github.com/reattach/reattach/test/kit"
)

var (
	bin     string // where the programs are
	browser string // the path of a browser; empty if there is none
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	for _, name := range []string{os.Getenv("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			browser = cmp.Or(browser, path)
		}
	}
	if browser == "" {
		return m.Run() // each test says that it is skipped
	}
	return kit.Run(m, &bin, map[string]string{"farm": "./farm"})
}
