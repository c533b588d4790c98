// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var all = flag.Bool("all", false, "make as many calls as are promised, and not only enough to see that it works")

// side is the library that a peer is built with.
type side string

const (
	upstream side = "v1.8.0"
	old      side = "v1.4.10" // the newest of the releases that many hosts were built with
	ours     side = "fork"
)

// binaries are the built programs.
type binaries struct{ dir string }

func (b binaries) host(s side) string   { return filepath.Join(b.dir, string(s), "host") }
func (b binaries) plugin(s side) string { return filepath.Join(b.dir, string(s), "plugin") }
func (b binaries) basic() string        { return filepath.Join(b.dir, "basic") }
func (b binaries) greeterHost() string  { return filepath.Join(b.dir, "greeterhost") }

// env is the environment of all processes, whose sockets have a directory that is removed
// in the end.
func (b binaries) env() []string { return append(os.Environ(), "TMPDIR="+b.dir) }

// built builds everything once for all tests.
var built = sync.OnceValues(func() (b binaries, err error) {
	if b.dir, err = os.MkdirTemp("", "adoption"); err != nil {
		return b, fmt.Errorf("create a directory for the programs: %w", err)
	}
	build := func(dir, out string, args ...string) {
		cmd := exec.Command("go", append([]string{"build", "-o", b.dir + "/" + out}, args...)...)
		cmd.Dir = dir
		if said, failed := cmd.CombinedOutput(); failed != nil && err == nil {
			err = fmt.Errorf("build %s: %w\n%s", out, failed, said)
		}
	}
	const peers = "../interop"
	build("../..", "basic", "./host")
	build(".", "greeterhost", "./peer/greeterhost")
	build(peers, string(upstream)+"/", "-modfile=go.mod", "./peer/host", "./peer/plugin")
	build(peers, string(old)+"/", "-modfile=old.mod", "-tags=old", "./peer/host", "./peer/plugin")
	build(peers, string(ours)+"/", "-modfile=fork.mod", "-tags=fork", "./peer/host", "./peer/plugin")
	return b, err
})

// programs returns the built programs.
func programs(t *testing.T) binaries {
	t.Helper()
	b, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMain(m *testing.M) {
	code := m.Run()
	if b, err := built(); err == nil {
		_ = os.RemoveAll(b.dir)
	}
	os.Exit(code)
}

// The rest of the tests is worth nothing if the peers are built with another library.
func TestPeersAreGenuine(t *testing.T) {
	for s, want := range map[side]string{upstream: "v1.8.0", old: "v1.4.10", ours: "=>\t../../forks/go-plugin"} {
		paths := []string{programs(t).host(s), programs(t).plugin(s)}
		if s == upstream {
			paths = append(paths, programs(t).greeterHost())
		}
		for _, path := range paths {
			said, err := exec.Command("go", "version", "-m", path).Output()
			if err != nil {
				t.Fatal(err)
			}
			_, after, _ := strings.Cut(string(said), "github.com/hashicorp/go-plugin\t")
			if !strings.Contains(strings.Join(strings.Fields(after)[:4], "\t"), want) {
				t.Errorf("%s was not built with go-plugin %s:\n%s", path, want, said)
			}
		}
	}
}
