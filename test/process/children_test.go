// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// write makes a file in dir.
func write(t *testing.T, dir, name, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func TestFilesThatAreNoPlugin(t *testing.T) {
	cases := map[string]struct {
		reason string
		make   func(t *testing.T, dir string)
		want   string
	}{
		"not executable": {
			reason: "the usual mistake after a copy, so the line says what to do",
			make:   func(t *testing.T, dir string) { write(t, dir, "bad.po", "#!/bin/sh\n", 0o644) },
			want:   "bad.po: it is not executable: chmod +x it",
		},
		"a directory": {
			reason: "the glob finds directories too",
			make: func(t *testing.T, dir string) {
				if err := os.Mkdir(filepath.Join(dir, "bad.po"), 0o755); err != nil {
					t.Fatal(err)
				}
			},
			want: "bad.po: it is a directory",
		},
		"a link to nothing": {
			reason: "the glob finds broken links too",
			make: func(t *testing.T, dir string) {
				if err := os.Symlink("gone", filepath.Join(dir, "bad.po")); err != nil {
					t.Fatal(err)
				}
			},
			want: "bad.po: the symbolic link leads to gone, which does not exist",
		},
		"not a program": {
			reason: "the kernel refuses to start it",
			make:   func(t *testing.T, dir string) { write(t, dir, "bad.po", "\x00\x01", 0o755) },
			want:   "bad.po",
		},
		"another program": {
			reason: "it speaks, but not the handshake",
			make:   func(t *testing.T, dir string) { write(t, dir, "bad.po", "#!/bin/sh\necho hello\n", 0o755) },
			want:   "bad.po",
		},
		"a program that says nothing": {
			reason: "it is given up after ATTACH_TIMEOUT, and killed",
			make:   func(t *testing.T, dir string) { write(t, dir, "bad.po", "#!/bin/sh\nexec sleep 3600\n", 0o755) },
			want:   "bad.po",
		},
		"a program that fails": {
			reason: "it exits before it says anything",
			make:   func(t *testing.T, dir string) { write(t, dir, "bad.po", "#!/bin/sh\nexit 3\n", 0o755) },
			want:   "bad.po",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tc.make(t, dir)
			if err := os.Symlink(filepath.Join(bin, "greeter-en.po"), filepath.Join(dir, "good.po")); err != nil {
				t.Fatal(err)
			}
			got := basic(t, "ATTACH_TIMEOUT=2s", "PLUGIN_DIR="+dir)
			if got.Code != 3 {
				t.Errorf("%s: exit code %d, want 3", tc.reason, got.Code)
			}
			if lines := linesWith(got.Stdout, "error: "); len(lines) != 1 || !strings.Contains(lines[0], tc.want) {
				t.Errorf("%s: got %q, want one line with %q", tc.reason, lines, tc.want)
			}
			if !strings.Contains(got.Stdout, "good  child") || !strings.Contains(got.Stdout, "Hello someone") {
				t.Errorf("%s: the plugin beside it was not greeted:\n%s", tc.reason, got.Stdout)
			}
		})
	}
}

func TestConfiguration(t *testing.T) {
	cases := map[string]struct {
		reason string
		env    []string
		code   int
		stderr string
	}{
		"no such directory": {
			reason: "a directory that was asked for must be there",
			env:    []string{"PLUGIN_DIR=/does/not/exist"},
			code:   2, stderr: "/does/not/exist",
		},
		"nothing to do": {
			reason: "silence would look like success",
			env:    []string{"PLUGIN_DIR="},
			code:   2, stderr: "no plugins",
		},
		"no port": {
			reason: "the line says what to write",
			env:    []string{"NETWORK_PLUGIN=localhost"},
			code:   2, stderr: "localhost:7000",
		},
		"bad duration": {
			reason: "the line names the variable",
			env:    []string{"PLUGIN_DIR=", "ATTACH_TIMEOUT=soon"},
			code:   2, stderr: "ATTACH_TIMEOUT",
		},
		"zero duration": {
			reason: "nothing can be done in no time",
			env:    []string{"CALL_TIMEOUT=0s"},
			code:   2, stderr: "CALL_TIMEOUT",
		},
		"bad level": {
			reason: "a typing mistake does not silence the log",
			env:    []string{"LOG_LEVEL=loud"},
			code:   2, stderr: "LOG_LEVEL",
		},
		"unknown version": {
			reason: "the line says which there are",
			env:    []string{"CONTRACT_VERSIONS=3"},
			code:   2, stderr: "[1 2]",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := basic(t, tc.env...)
			if got.Code != tc.code || !strings.Contains(got.Stderr, tc.stderr) || got.Stdout != "" {
				t.Errorf("%s: got %+v, want code %d and %q", tc.reason, got, tc.code, tc.stderr)
			}
			if n := strings.Count(got.Stderr, "\n"); n != 1 {
				t.Errorf("%s: got %d lines, want one:\n%s", tc.reason, n, got.Stderr)
			}
		})
	}
}

func TestPluginStartedByHand(t *testing.T) {
	got, err := run(exec.CommandContext(t.Context(), filepath.Join(bin, "greeter-zh.po")))
	if err != nil {
		t.Fatal(err)
	}
	if got.Code != 1 || !strings.Contains(got.Stderr, "plugin") || got.Stdout != "" {
		t.Errorf("got %+v, want an explanation on stderr and exit code 1", got)
	}
}

// TestHostWithNetworkEnvironment runs a host as in a pod that also configures a
// plugin: its children must not listen on the network.
func TestHostWithNetworkEnvironment(t *testing.T) {
	dir := t.TempDir()
	line := filepath.Join(dir, "line")
	write(t, dir, "copied.po", "#!/bin/sh\n"+filepath.Join(bin, "greeter-zh.po")+" | tee "+line+"\n", 0o755)
	got := basic(t, "PLUGIN_HOST=true", "PLUGIN_MIN_PORT=1", "PLUGIN_MAX_PORT=1", "PLUGIN_DIR="+dir)
	if got.Code != 0 {
		t.Fatalf("the host failed: %+v", got)
	}
	said, err := os.ReadFile(line)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(said), "|unix|") {
		t.Errorf("the child said %q, want a unix socket", said)
	}
}

// TestInterrupt sends Ctrl-C to a host in the middle of its work.
func TestInterrupt(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "started"), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "stuck.po", "#!/bin/sh\necho $$ >"+dir+"/started\nexec sleep 3600\n", 0o755)
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "basic"))
	cmd.Env = environment("PLUGIN_DIR=" + dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child := readPid(t, filepath.Join(dir, "started"))
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(stderr.String(), "interrupted") {
		t.Errorf("got exit code %d, want 130 and a word about it\n%s", code, &stderr)
	}
	eventually(t, func() error {
		if syscall.Kill(child, 0) == nil {
			return errStillRuns
		}
		return nil
	})
}

// TestTwoDirectories has plugins in two directories, as two images that are mounted.
func TestTwoDirectories(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	for dir, name := range map[string]string{one: "greeter-zh.po", two: "greeter-en.po"} {
		if err := os.Symlink(filepath.Join(bin, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	got := basic(t, "GREET_NAME=Ada", "PLUGIN_DIR="+one+":"+two)
	if got.Code != 0 || !strings.Contains(got.Stdout, "Hello Ada") || !strings.Contains(got.Stdout, "您好 Ada") {
		t.Errorf("%+v", got)
	}
	got = basic(t, "PLUGIN_DIR="+one+":"+filepath.Join(two, "none"))
	if got.Code != 2 || !strings.Contains(got.Stderr, "none") {
		t.Errorf("one of them is missing: %+v", got)
	}
}
