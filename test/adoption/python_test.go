// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/kit"
)

// python starts the example's plugin on an address of its own. Without what it needs of
// Python the test is skipped.
func python(t *testing.T) *pod {
	t.Helper()
	for _, program := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(program, "-c", "import grpc.aio, google.protobuf").Run() == nil {
			return startPod(t, exec.Command(program, "../../examples/python/greeter.py"), "PLUGIN_HOST=127.0.0.1", "PLUGIN_MIN_PORT=0")
		}
	}
	t.Skip("no python3 with grpcio and protobuf: apt-get install python3-grpcio python3-protobuf")
	return nil
}

// greeterHost is a host of the original library that starts a link to the program.
type greeterHost struct {
	t     *testing.T
	stdin io.WriteCloser
	lines chan string
	done  chan struct{} // closed when it has ended, with err
	err   error
}

func startGreeterHost(t *testing.T, lines ...string) *greeterHost {
	t.Helper()
	path := filepath.Join(t.TempDir(), "greeter")
	if err := os.Symlink(programs(t).basic(), path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".target", []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	h := &greeterHost{t: t, lines: make(chan string), done: make(chan struct{})}
	cmd := exec.Command(programs(t).greeterHost(), path)
	cmd.Env = programs(t).env()
	stderr := new(kit.Buffer)
	cmd.Stderr = stderr
	var err error
	if h.stdin, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(h.done)
		for in := bufio.NewScanner(stdout); in.Scan(); {
			h.lines <- in.Text()
		}
		h.err = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = h.stdin.Close()
		_ = cmd.Process.Kill()
		<-h.done
		if t.Failed() {
			t.Logf("stderr of the host:\n%s", kit.Tail(stderr.String()))
		}
	})
	return h
}

// do gives the host a command, and returns the line that it prints.
func (h *greeterHost) do(command string) string {
	h.t.Helper()
	if _, err := fmt.Fprintln(h.stdin, command); err != nil {
		h.t.Fatal(err)
	}
	select {
	case line := <-h.lines:
		return line
	case <-h.done:
		h.t.Fatalf("the host has ended at %q: %v", command, h.err)
	case <-time.After(kit.Patience):
		h.t.Fatalf("the host did not answer %q", command)
	}
	return ""
}

// end has the host kill its plugin and end.
func (h *greeterHost) end() {
	h.t.Helper()
	_ = h.stdin.Close()
	select {
	case <-h.done:
		if h.err != nil {
			h.t.Errorf("the host: %v", h.err)
		}
	case <-time.After(kit.Patience):
		h.t.Error("the host does not end")
	}
}

const pythonAnswer = "Hello Ada, this is Python"

// TestPython has a host of the original library use a plugin in Python that is on the
// network: its answers, its errors, its health, and that it outlives its host.
func TestPython(t *testing.T) {
	t.Parallel()
	p := python(t)
	for range 2 {
		h := startGreeterHost(t, "target: "+p.address, "cookie: BASIC_PLUGIN=hello")
		const calls = 100
		for range calls {
			if got := h.do("greet Ada"); got != pythonAnswer {
				t.Fatalf("got %q", got)
			}
		}
		counted(t, "calls", calls)
		if got := h.do("greet"); !strings.Contains(got, "code = InvalidArgument") || !strings.Contains(got, "name is missing") {
			t.Errorf("the plugin's error came as %q", got)
		}
		counted(t, "errors", 1)
		if got := h.do("ping"); got != "pong" {
			t.Errorf("the host's ping: %q", got)
		}
		h.end()
		if !p.Running() {
			t.Fatal("the plugin has ended with a host")
		}
	}
}

// TestPythonDrains has one instance after another leave and be replaced while a host calls,
// which loses no call.
func TestPythonDrains(t *testing.T) {
	t.Parallel()
	one, two := python(t), python(t)
	h := startGreeterHost(t, fmt.Sprintf("target: py=%s,py=%s", one.address, two.address), "cookie: BASIC_PLUGIN=hello")
	calls := 0
	greet := func(times int) {
		t.Helper()
		for range times {
			if got := h.do("greet Ada"); got != pythonAnswer {
				t.Fatalf("call %d: %q", calls, got)
			}
			calls++
		}
	}
	greet(100)
	one.Signal(syscall.SIGTERM)
	for one.Running() {
		greet(1)
	}
	if one.ExitCode != 0 {
		t.Errorf("the instance that left has ended with %d", one.ExitCode)
	}
	greet(100)
	counted(t, "calls", int64(calls))
	counted(t, "instances_left", 1)
	counted(t, "failed", 0)
}
