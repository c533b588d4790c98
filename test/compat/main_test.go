// SPDX-License-Identifier: MPL-2.0

// Package compat answers the five questions of docs/compatibility.md with real
// binaries: hosts and plugins of the first demo, built against go-plugin v1.3.0, and
// those of this repository.
package compat

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long any program may take.
const patience = 30 * time.Second

// bin is where the binaries are, set once before any test runs.
var bin string

func TestMain(m *testing.M) {
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "reattach-compat")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	for _, build := range []*exec.Cmd{
		exec.Command("../../scripts/build.sh", dir),
		exec.Command("go", "build", "-o", dir+"/",
			"./host-demo", "./host-raised", "./host-noargs", "./plugin-first", "./plugin-demo", "./plugin-network"),
	} {
		if out, err := build.CombinedOutput(); err != nil {
			return 0, fmt.Errorf("%s: %w\n%s", build, err, out)
		}
	}
	return m.Run(), nil
}

// question is one test: it says what it asks, and then what it runs and sees.
type question struct{ *testing.T }

func ask(t *testing.T, text string) question {
	fmt.Fprintf(t.Output(), "Question: %s\n", text)
	return question{t}
}

// pluginDir gives a directory with one plugin of bin in it.
func (q question) pluginDir(name string) string {
	q.Helper()
	dir := q.TempDir()
	target := filepath.Join(dir, strings.TrimSuffix(name, ".po")+".po")
	if err := os.Symlink(filepath.Join(bin, name), target); err != nil {
		q.Fatal(err)
	}
	return dir
}

// run runs a host to its end and shows what it printed: its results, or what it
// said last on stderr if there are none.
func (q question) run(what, host string, env ...string) string {
	q.Helper()
	ctx, cancel := context.WithTimeout(q.Context(), patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(bin, host))
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir()}, env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		q.Fatalf("%s: %v", what, err)
	}
	seen := stdout.String()
	if seen == "" {
		seen = lastLine(stderr.String())
	}
	fmt.Fprintf(q.Output(), "%s, exit code %d:\n", what, cmd.ProcessState.ExitCode())
	for line := range strings.Lines(seen) {
		fmt.Fprintf(q.Output(), "  | %s\n", strings.TrimRight(line, "\n"))
	}
	return seen
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1] + "\n"
}

// expect fails unless every text was seen.
func (q question) expect(seen string, texts ...string) {
	q.Helper()
	for _, text := range texts {
		if !strings.Contains(seen, text) {
			q.Errorf("%q was not seen", text)
		}
	}
}

// onPage holds that docs/compatibility.md shows what was seen: all of it in one block, or
// with lines only those that hold the texts.
func (q question) onPage(seen string, texts ...string) {
	q.Helper()
	page, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		q.Fatal(err)
	}
	if len(texts) > 0 {
		kept := ""
		for line := range strings.Lines(seen) {
			for _, text := range texts {
				if at := strings.Index(line, text); at >= 0 {
					kept += line[at:]
				}
			}
		}
		seen = kept
	}
	if seen == "" || !strings.Contains(string(page), "```output\n"+strings.TrimRight(seen, "\n")+"\n```\n") {
		q.Errorf("docs/compatibility.md does not show what was seen:\n%s", seen)
	}
}

// networkPlugin starts a plugin that listens on TCP, and gives its address and its
// process. It ends with the test.
func (q question) networkPlugin(name string) (string, *os.Process) {
	q.Helper()
	cmd := exec.Command(filepath.Join(bin, name))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "BASIC_PLUGIN=hello", "PLUGIN_HOST=127.0.0.1"}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		q.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		q.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	line, err := lines.ReadString('\n')
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, lines)
	}()
	q.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-drained
		_ = cmd.Wait()
	})
	fields := strings.Split(line, "|")
	if err != nil || len(fields) < 4 {
		q.Fatalf("%s said %q and ended: %v", name, line, err)
	}
	fmt.Fprintf(q.Output(), "%s listens on %s\n", name, fields[3])
	return fields[3], cmd.Process
}
