// SPDX-License-Identifier: MPL-2.0

// Package process tests the host and the plugins as people run them: built
// binaries, an environment, signals and exit codes.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/reattach/reattach/test/kit"
)

// patience is how long a test waits for what ought to take moments, and may take
// much longer on a busy machine.
const patience = 3 * time.Minute

// bin is where the binaries are, set once before any test runs.
var bin string

func TestMain(m *testing.M) {
	if play() {
		return
	}
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "reattach-process")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	if out, err := exec.Command("../../scripts/build.sh", dir).CombinedOutput(); err != nil {
		return 0, fmt.Errorf("build: %w\n%s", err, out)
	}
	return m.Run(), nil
}

// outcome is how a process ended.
type outcome struct {
	Stdout, Stderr string
	Code           int
}

// withoutWaits is what a command said on stderr beside what it waited for, which it says on a
// machine that is slow.
func (o outcome) withoutWaits() string {
	return regexp.MustCompile(`(?m)^\w+: waiting for .*\n`).ReplaceAllString(o.Stderr, "")
}

// environment is all that a process sees, apart from what a test adds.
func environment(extra ...string) []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}, extra...)
}

// basic runs the host to its end.
func basic(t *testing.T, env ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := run(exec.CommandContext(ctx, filepath.Join(bin, "basic")), env...)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// run runs cmd with env to its end. It is an error if it did not end by itself.
func run(cmd *exec.Cmd, env ...string) (outcome, error) {
	var stdout, stderr bytes.Buffer
	cmd.Env = environment(env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return outcome{stdout.String(), stderr.String(), 0}, nil
	case ended && exit.Exited():
		return outcome{stdout.String(), stderr.String(), exit.ExitCode()}, nil
	}
	return outcome{}, fmt.Errorf("%s: %w\nstdout: %s\nstderr: %s", cmd, err, &stdout, &stderr)
}

// eventually waits until condition holds, and fails with what it last said.
func eventually(t *testing.T, condition func() error) {
	t.Helper()
	kit.Eventually(t, patience, condition)
}
