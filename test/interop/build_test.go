// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// side is the library that a peer is built with.
type side string

const (
	upstream side = "upstream"
	fork     side = "fork"
)

// sides are both, the one that defines the truth first.
func sides() []side { return []side{upstream, fork} }

// binaries are the built peers.
type binaries struct {
	dir string
}

func (b binaries) host(s side) string   { return filepath.Join(b.dir, string(s), "host") }
func (b binaries) plugin(s side) string { return filepath.Join(b.dir, string(s), "plugin") }

// env is the environment of the peers, in which their sockets have a directory
// that is removed in the end: a plugin that is killed leaves its socket behind.
func (b binaries) env() []string { return append(os.Environ(), "TMPDIR="+b.dir) }

// built builds the four peers once for all tests.
var built = sync.OnceValues(func() (binaries, error) {
	dir, err := os.MkdirTemp("", "interop")
	if err != nil {
		return binaries{}, fmt.Errorf("create directory for the peers: %w", err)
	}
	b := binaries{dir: dir}
	flags := map[side][]string{
		upstream: {"-modfile=go.mod"},
		fork:     {"-modfile=fork.mod", "-tags=fork"},
	}
	for _, s := range sides() {
		args := append([]string{"build"}, flags[s]...)
		args = append(args, "-o", filepath.Join(dir, string(s))+string(filepath.Separator), "./peer/host", "./peer/plugin", "./peer/identity")
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			return b, fmt.Errorf("build the peers of %s: %w\n%s", s, err, out)
		}
	}
	return b, nil
})

// peers returns the built peers.
func peers(t *testing.T) binaries {
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

// The rest of the tests is worth nothing if both sides are the same library.
func TestPeersAreWhatTheyAreCalled(t *testing.T) {
	want := map[side]string{upstream: "v1.8.0", fork: "../../forks/go-plugin"}
	for _, s := range sides() {
		host := startHost(t, s)
		if got := host.library(); got != want[s] {
			t.Errorf("the host of %s is built with go-plugin %s, want %s", s, got, want[s])
		}
		host.Open(hostapi.Client{
			Name: "a", Path: peers(t).plugin(s), Env: []string{single("grpc").Env()}, Versions: map[int]string{1: "grpc"},
		})
		if got := host.Report("a").Library; got != want[s] {
			t.Errorf("the plugin of %s is built with go-plugin %s, want %s", s, got, want[s])
		}
		host.Must("Kill", hostapi.Named{Name: "a"}, &hostapi.None{})
	}
}
