// SPDX-License-Identifier: MPL-2.0

package page

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
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
	dir, err := os.MkdirTemp("", "page")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	for _, build := range [][]string{
		{"../../scripts/build.sh", dir},
		{"go", "build", "-o", filepath.Join(dir, "farm"), "./farm"},
	} {
		if out, err := exec.Command(build[0], build[1:]...).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %v\n%s", build, err, out)
			return 1
		}
	}
	return m.Run()
}
