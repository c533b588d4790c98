// SPDX-License-Identifier: MPL-2.0

package cmdrunner

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
)

// roleVar makes the test binary play a plugin instead of running tests.
const roleVar = "CMDRUNNER_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(roleVar) {
	case "":
		goleak.VerifyTestMain(m)
	case "speak":
		fmt.Println("on stdout")
		fmt.Fprintln(os.Stderr, strings.Repeat("panic: on stderr\n", 1000))
		os.Exit(3)
	case "serve":
		listener, err := net.Listen("unix", os.Args[1])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("listening")
		for {
			conn, err := listener.Accept()
			if err != nil {
				os.Exit(1)
			}
			conn.Close()
		}
	}
}

func newRunner(t *testing.T, role string, args ...string) *Runner {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), roleVar+"="+role)
	r, err := NewCmdRunner(hclog.NewNullLogger(), cmd)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func start(t *testing.T, r *Runner) {
	t.Helper()
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Kill(context.Background()) })
}

// TestWaitKeepsLastOutput waits before anything was read: all of it must still
// come, because a plugin's last words are why it died.
func TestWaitKeepsLastOutput(t *testing.T) {
	r := newRunner(t, "speak")
	start(t, r)
	waited := make(chan error, 1)
	go func() { waited <- r.Wait(context.Background()) }() // The pipe holds less than stderr has.

	stdout, err := io.ReadAll(r.Stdout())
	if err != nil || string(stdout) != "on stdout\n" {
		t.Errorf("stdout: %q, %v", stdout, err)
	}
	stderr, err := io.ReadAll(r.Stderr())
	if err != nil || strings.Count(string(stderr), "panic: on stderr\n") != 1000 {
		t.Errorf("stderr: %d bytes, %v", len(stderr), err)
	}
	var exit *exec.ExitError
	if err := <-waited; !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("want exit status 3, got %v", err)
	}
	if err := r.Kill(t.Context()); err != nil {
		t.Errorf("killing what has ended: %v", err)
	}
}

func TestKill(t *testing.T) {
	r := newRunner(t, "serve", filepath.Join(t.TempDir(), "s"))
	if err := r.Kill(t.Context()); err != nil {
		t.Errorf("killing what was not started: %v", err)
	}
	if r.ID() != "0" {
		t.Errorf("ID before start: %s", r.ID())
	}
	start(t, r)
	if r.ID() != strconv.Itoa(r.cmd.Process.Pid) || r.Name() != os.Args[0] {
		t.Errorf("ID %s, name %s", r.ID(), r.Name())
	}
	go io.Copy(io.Discard, r.Stdout())
	go io.Copy(io.Discard, r.Stderr())
	if err := r.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Wait(t.Context()); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("wait after kill: %v", err)
	}
}

func TestStartFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent")
	r, err := NewCmdRunner(hclog.NewNullLogger(), exec.Command(path))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("start: %v", err)
	}
	if _, err := r.Stdout().Read(make([]byte, 1)); !errors.Is(err, os.ErrClosed) {
		t.Errorf("the pipes stay open: %v", err)
	}
}

func TestNewCmdRunnerWantsTheOutput(t *testing.T) {
	cmd := exec.Command("x")
	cmd.Stderr = io.Discard
	if _, err := NewCmdRunner(hclog.NewNullLogger(), cmd); err == nil {
		t.Error("a command whose output goes elsewhere was taken")
	}
}

func TestReattach(t *testing.T) {
	addr := &net.UnixAddr{Net: "unix", Name: filepath.Join(t.TempDir(), "s")}
	r := newRunner(t, "serve", addr.Name)
	start(t, r)
	if line, err := bufio.NewReader(r.Stdout()).ReadString('\n'); line != "listening\n" {
		t.Fatalf("%q, %v", line, err)
	}
	ended := make(chan struct{})
	go func() { r.Wait(context.Background()); close(ended) }()

	attached, err := ReattachFunc(r.cmd.Process.Pid, addr)()
	if err != nil {
		t.Fatal(err)
	}
	if attached.ID() != r.ID() {
		t.Errorf("ID %s, want %s", attached.ID(), r.ID())
	}
	brief, cancel := context.WithCancel(t.Context())
	cancel()
	if err := attached.Wait(brief); !errors.Is(err, context.Canceled) {
		t.Errorf("wait for a living process with an ended context: %v", err)
	}
	if err := attached.Kill(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-ended
	patient, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := attached.Wait(patient); err != nil {
		t.Errorf("wait: %v", err)
	}
	if err := attached.Kill(t.Context()); err != nil {
		t.Errorf("killing what has ended: %v", err)
	}
	if _, err := ReattachFunc(r.cmd.Process.Pid, addr)(); !errors.Is(err, ErrProcessNotFound) {
		t.Errorf("the process is gone: %v", err)
	}
}

func TestReattachWithoutListener(t *testing.T) {
	addr := &net.UnixAddr{Net: "unix", Name: filepath.Join(t.TempDir(), "nobody")}
	_, err := ReattachFunc(os.Getpid(), addr)()
	if !errors.Is(err, ErrProcessNotFound) || !strings.Contains(err.Error(), addr.Name) {
		t.Errorf("want ErrProcessNotFound naming the address, got %v", err)
	}
}

func TestSameMachine(t *testing.T) {
	var s sameMachine
	if n, a, err := s.PluginToHost("unix", "/a"); n != "unix" || a != "/a" || err != nil {
		t.Errorf("PluginToHost: %s %s %v", n, a, err)
	}
	if n, a, err := s.HostToPlugin("tcp", "b:1"); n != "tcp" || a != "b:1" || err != nil {
		t.Errorf("HostToPlugin: %s %s %v", n, a, err)
	}
}
