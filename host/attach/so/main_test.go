// SPDX-License-Identifier: MPL-2.0

//go:build cgo && (linux || darwin || freebsd)

package so

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "so-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	served = filepath.Join(dir, "zh.so")
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir)
		os.Exit(code)
	}))
}

// served is the shared object that these tests load into themselves. They can
// do so only once, however often they run.
var (
	served     string
	servedOnce sync.Once
)

func servedObject(t testing.TB) string {
	t.Helper()
	flags := likeThis(t)
	servedOnce.Do(func() { buildAt(t, "CGO_ENABLED=1", ".", served, "./internal/testso", flags...) })
	return served
}

// build builds a package with the given flags, and returns the file.
func build(t testing.TB, dir, output, pkg string, flags ...string) string {
	t.Helper()
	return buildWith(t, "CGO_ENABLED=1", dir, output, pkg, flags...)
}

func buildWith(t testing.TB, env, dir, output, pkg string, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), output)
	buildAt(t, env, dir, path, pkg, flags...)
	return path
}

func buildAt(t testing.TB, env, dir, path, pkg string, flags ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append(append([]string{"build", "-o", path}, flags...), pkg)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// likeThis are the flags that a shared object needs to fit into this test
// binary.
func likeThis(t testing.TB) []string {
	t.Helper()
	if testing.CoverMode() != "" {
		t.Skip("the packages of this binary are instrumented for coverage: no shared object fits")
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Fatal("this test binary has no build information")
	}
	flags := []string{"-buildmode=plugin"}
	for _, key := range []string{"-race", "-msan", "-asan", "-trimpath"} {
		if setting(info, key) == "true" {
			flags = append(flags, key)
		}
	}
	return flags
}
