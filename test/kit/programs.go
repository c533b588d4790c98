// SPDX-License-Identifier: MPL-2.0

//go:build unix

package kit

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Build builds static programs into dir: for each name, the package at a path.
func Build(dir string, programs map[string]string) error {
	for name, from := range programs {
		cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, name), from)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", from, err, out)
		}
	}
	return nil
}

// Run runs the tests of a package that is two directories below the repository's, with the
// product's programs, and more as Build takes them, in a directory of which it tells bin. It
// gives the exit code for TestMain.
func Run(m *testing.M, bin *string, more map[string]string) int {
	dir, err := os.MkdirTemp("", "reattach-tests")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if out, err := exec.Command("../../scripts/build.sh", dir).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "scripts/build.sh: %v\n%s", err, out)
		return 1
	}
	if err := Build(dir, more); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	*bin = dir
	return m.Run()
}

// Alone returns when no other process holds the machine, and holds it until the process
// ends, however that comes about. Packages of tests that fill the machine call it, since
// go test runs packages side by side: one floods the ports and the processors by which
// another measures how soon something happens.
func Alone() error {
	path := filepath.Join(os.TempDir(), "reattach-tests.lock")
	// A descriptor that no finalizer closes, and that no child inherits.
	fd, err := syscall.Open(path, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return fmt.Errorf("wait for other tests, open %s: %w", path, err)
	}
	if err := syscall.Flock(fd, syscall.LOCK_EX); err != nil {
		return fmt.Errorf("wait for other tests, lock %s: %w", path, err)
	}
	return nil
}
