// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docs

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/reattach/reattach/host/daemon/daemontest/address"
)

const root = "../.."

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pages reads all pages, once for each test.
func pages(t *testing.T) map[string][]Block {
	t.Helper()
	names, err := Pages(root)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]Block{}
	for _, name := range names {
		blocks, err := Read(root, name)
		if err != nil {
			t.Error(err)
		}
		all[name] = blocks
	}
	for _, must := range []string{"README.md", "PROTOCOL.md", "docs/library.md", "docs/errors/README.md", "forks/go-plugin/README.md"} {
		if _, found := all[must]; !found {
			t.Errorf("the page %s was not found", must)
		}
	}
	return all
}

// steps are what .ci/run runs.
func steps(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, ".ci/run"))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range regexp.MustCompile(`(?m)^step (make [a-z-]+|scripts/e2e\.sh)`).FindAllStringSubmatch(string(raw), -1) {
		all = append(all, strings.Replace(m[1], "scripts/e2e.sh", "make e2e", 1))
	}
	if len(all) < 5 {
		t.Fatalf(".ci/run has the steps %q", all)
	}
	return all
}

// ofCI tells whether all that a block says are steps of .ci/run. make build is not
// enough: what comes after it on the page needs it.
func ofCI(b Block, steps []string) bool {
	for line := range strings.Lines(b.Text) {
		text, _, _ := strings.Cut(line, "#")
		if text = strings.TrimSpace(text); text == "make build" || !slices.Contains(steps, text) {
			return false
		}
	}
	return true
}

// checkout copies what is in the repository, or would be added to it, and builds what
// pages presume: the programs in bin/, and the executable of somebody else.
func checkout(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(scratch(t), "reattach")
	if err := Copy(root, dir); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"scripts/build.sh", "bin"},
		{"go", "build", "-C", "cmd/reattach", "-trimpath", "-buildvcs=false", "-o", filepath.Join(dir, "bin") + "/", "."},
		{"go", "build", "-trimpath", "-buildvcs=false", "-o", "store", "./test/docs/store"},
	} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", cmd, err, out)
		}
	}
	return dir
}

// scratch makes a directory with a short path, since sockets lie in it.
func scratch(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "d")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// free gives a port that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address.Hold(t))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// shell makes one for a page. The page's ports are free ones, its directories are below
// one of its own, and its home is empty.
func shell(t *testing.T, dir string) *Shell {
	t.Helper()
	own := scratch(t)
	for _, d := range []string{"home/.local/bin", "tmp", "run", "log"} {
		if err := os.MkdirAll(filepath.Join(own, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	caches, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOFLAGS", "GOTOOLCHAIN").Output()
	if err != nil {
		t.Fatal(err)
	}
	listen := free(t)
	env := []string{
		"PATH=" + filepath.Join(dir, "bin") + ":" + own + "/home/.local/bin:" + os.Getenv("PATH"),
		"HOME=" + own + "/home", "TMPDIR=" + own + "/tmp", "LANG=C.UTF-8",
		"BASIC_LISTEN=127.0.0.1:" + listen, // 8080 by itself
	}
	for i, value := range bytes.Split(bytes.TrimRight(caches, "\n"), []byte("\n")) {
		env = append(env, []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOFLAGS", "GOTOOLCHAIN"}[i]+"="+string(value))
	}
	// What is compiled does not depend on the copy's path then, and is compiled once.
	env = append(env, "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -trimpath"))
	s := &Shell{Dir: dir, Env: env, Log: own + "/log", Stands: map[string]string{
		"7000": free(t), "7001": free(t), "8080": listen, anywhere: "127.0.0.1", "/tmp": own + "/tmp", "/run/plugins": own + "/run", "~/reattach": dir,
	}}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
