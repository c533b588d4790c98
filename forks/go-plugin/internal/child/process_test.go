// SPDX-License-Identifier: MPL-2.0

package child_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/cmdrunner"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// roleVar makes the test binary play a plugin instead of running tests.
const roleVar = "CHILD_TEST_ROLE"

const lastWords = "panic: on stderr\n"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "":
		goleak.VerifyTestMain(m)
	case "crash":
		fmt.Println("1|3|unix|/nowhere|netrpc|")
		fmt.Fprint(os.Stderr, strings.Repeat(lastWords, 1000))
		os.Exit(3)
	case "silent exit":
	case "other program":
		fmt.Println("hello\x1b there")
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "mute":
		_, _ = io.Copy(io.Discard, os.Stdin)
	case "leaves the socket":
		lis, err := net.Listen("unix", os.Args[1])
		if err != nil {
			os.Exit(1)
		}
		fmt.Printf("1|1|unix|%s|grpc||true\n", lis.Addr())
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
}

// running is a child of this test binary, and what the host has of it.
type running struct {
	*child.Process
	cmd    *exec.Cmd
	runner *cmdrunner.Runner
	stderr bytes.Buffer // complete once the context of the process has ended
}

// start starts a command that ends, at the latest, with the test.
func start(t *testing.T, cmd *exec.Cmd) *running {
	t.Helper()
	r := &running{cmd: cmd}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close() })
	if r.runner, err = cmdrunner.NewCmdRunner(hclog.NewNullLogger(), cmd); err != nil {
		t.Fatal(err)
	}
	if err := r.runner.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Process = child.NewProcess(child.Config{
		Logger: hclog.NewNullLogger(), Stderr: &r.stderr, MaxLine: 1 << 10, LastOutput: func(context.Context) {},
	})
	t.Cleanup(r.Kill)
	return r
}

func play(t *testing.T, role string, args ...string) *running {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	return start(t, cmd)
}

// TestLastWords holds that the line and all that a plugin wrote come before its end,
// because a plugin's last words are why it died.
func TestLastWords(t *testing.T) {
	for _, readFirst := range []bool{false, true} {
		t.Run(fmt.Sprintf("readFirst=%v", readFirst), func(t *testing.T) {
			r := play(t, "crash")
			line, err := r.Run(t.Context(), r.runner, readFirst)
			if want := (child.Line{Version: 3, Network: "unix", Address: "/nowhere", Protocol: "netrpc"}); line != want || err != nil {
				t.Errorf("line %+v, %v", line, err)
			}
			<-r.Context().Done()
			if got := strings.Count(r.stderr.String(), lastWords); got != 1000 {
				t.Errorf("%d of 1000 lines came", got)
			}
			cause := context.Cause(r.Context())
			var exit *exec.ExitError
			if !errors.As(cause, &exit) || exit.ExitCode() != 3 || !errors.Is(cause, peererr.ErrConnectionLost) {
				t.Errorf("it ended by %v, want exit status 3 and a lost connection", cause)
			}
		})
	}
}

// TestGrandchildHoldsOutput has the plugin leave a process behind that holds its
// output open: the plugin's end is told all the same.
func TestGrandchildHoldsOutput(t *testing.T) {
	r := start(t, exec.Command("/bin/sh", "-c", "sleep 600 & echo \"1|1|unix|$!|netrpc\"; exit 4"))
	line, err := r.Run(t.Context(), r.runner, false)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(line.Address, &pid); err != nil {
		t.Fatal(err)
	}
	left, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer left.Kill()
	<-r.Context().Done()
	var exit *exec.ExitError
	if !errors.As(context.Cause(r.Context()), &exit) || exit.ExitCode() != 4 {
		t.Errorf("it ended by %v", context.Cause(r.Context()))
	}
	if _, err := r.runner.Stderr().Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the pipes stay open: %v", err)
	}
	if err := left.Signal(os.Interrupt); err != nil {
		t.Error("the process left behind has ended, so the test showed nothing")
	}
}

func TestRunFails(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	cases := map[string]struct {
		ctx  context.Context
		role string
		is   error
		says string
	}{
		"says nothing":       {t.Context(), "silent exit", child.ErrSaidNothing, "Failed to read any lines"},
		"is another program": {t.Context(), "other program", peererr.ErrIncompatible, `hello\x1b there`},
		"killed":             {cancelled, "mute", child.ErrKilled, ""},
		"slow":               {late, "mute", nil, "timeout"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := play(t, tc.role)
			_, err := r.Run(tc.ctx, r.runner, false)
			if err == nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want %v that says %q", err, tc.is, tc.says)
			}
			r.Kill()
			if r.Context().Err() == nil || r.cmd.ProcessState == nil {
				t.Error("Kill did not wait for the end")
			}
			if r.Runner() != nil {
				t.Error("the runner is kept")
			}
			r.Kill()
		})
	}
}

// TestSocketsOfKilled holds that what a killed child leaves is removed, unless
// something uses it or it is no socket.
func TestSocketsOfKilled(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	used, err := net.Listen("unix", path("used"))
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	dead, err := net.Listen("unix", path("dead"))
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	if err := os.WriteFile(path("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []bool{false, true} {
		t.Run(fmt.Sprintf("taken=%v", taken), func(t *testing.T) {
			r := play(t, "leaves the socket", path("main"))
			line, err := r.Run(t.Context(), r.runner, false)
			if err != nil {
				t.Fatal(err)
			}
			addr, err := line.Addr(r.runner)
			if err != nil {
				t.Fatal(err)
			}
			socket := child.NewSocket(addr, net.Dialer{})
			if taken {
				socket.Take()
			}
			r.OwnSocket(socket)
			for _, name := range []string{"used", "dead", "file"} {
				r.NoteBrokered("unix", path(name))
			}
			conn, err := socket.Dial(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			conn.Close()
			r.Kill()
			for name, want := range map[string]bool{"main": false, "dead": false, "used": true, "file": true} {
				if _, err := os.Lstat(path(name)); (err == nil) != want {
					t.Errorf("%s is there: %v, want %v", name, !want, want)
				}
			}
			if _, err := socket.Dial(t.Context()); !errors.Is(err, net.ErrClosed) {
				t.Errorf("a dial after the end: %v", err)
			}
		})
	}
}

// TestOwnSocketOfEnded has a plugin end before its host has noted where it listens.
func TestOwnSocketOfEnded(t *testing.T) {
	r := play(t, "crash")
	if _, err := r.Run(t.Context(), r.runner, false); err != nil {
		t.Fatal(err)
	}
	<-r.Context().Done()
	socket := child.NewSocket(&net.UnixAddr{Net: "unix", Name: "/nowhere"}, net.Dialer{})
	r.OwnSocket(socket)
	if _, err := socket.Dial(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a dial after the end: %v", err)
	}
}
