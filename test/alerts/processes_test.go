// SPDX-License-Identifier: MPL-2.0

package alerts

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/test/kit"
)

const patience = 2 * time.Minute

var bin string // where the programs are

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "alerts")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	if out, err := exec.Command("../../scripts/build.sh", dir).CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// running is a process that runs until the test ends, or end is called.
type running struct {
	cmd *exec.Cmd
	url string // of a host
}

func start(t *testing.T, name string, env []string, args ...string) (*running, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}, env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{cmd: cmd}
	t.Cleanup(func() {
		r.end(syscall.SIGTERM)
		if t.Failed() {
			t.Logf("%s said:\n%.4000s", name, stderr.String())
		}
	})
	return r, bufio.NewScanner(out)
}

// end sends a signal and waits for the end. It may be called again.
func (r *running) end(signal syscall.Signal) {
	if r.cmd.ProcessState == nil {
		_ = r.cmd.Process.Signal(signal)
		_ = r.cmd.Wait()
	}
}

func (r *running) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(signal); err != nil {
		t.Error(err)
	}
}

// addresses gives some of this machine at which nobody listens.
func addresses(t *testing.T, n int) []string {
	t.Helper()
	list := make([]string, 0, n)
	for range n {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer lis.Close() // all at once, so that no two are the same
		list = append(list, lis.Addr().String())
	}
	return list
}

// replica starts a plugin at an address.
func replica(t *testing.T, address string, env ...string) *running {
	t.Helper()
	_, port, _ := net.SplitHostPort(address)
	r, stdout := start(t, "greeter-zh.po", append(env,
		"BASIC_PLUGIN=hello", "PLUGIN_HOST=127.0.0.1", "PLUGIN_MIN_PORT="+port, "PLUGIN_MAX_PORT="+port, "PLUGIN_NAME=zh"))
	if !stdout.Scan() {
		t.Fatalf("no plugin listens at %s", address)
	}
	return r
}

// host starts a daemon.
func host(t *testing.T, env ...string) *running {
	t.Helper()
	address := addresses(t, 1)[0]
	r, _ := start(t, "basic", append([]string{"PLUGIN_DIR=", "BASIC_LISTEN=" + address, "ATTACH_TIMEOUT=2s", "LOG_LEVEL=error"}, env...), "serve")
	r.url = "http://" + address + "/"
	until(t, "the host serves", func() error {
		_, err := fetch(t.Context(), r.url+"metrics")
		return err
	})
	return r
}

func until(t *testing.T, what string, look func() error) {
	t.Helper()
	kit.Eventually(t, patience, func() error {
		if err := look(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// attached tells whether as many endpoints take calls.
func attached(t *testing.T, url string, want int) error {
	t.Helper()
	if got := gauge(t, url, "reattach_endpoints", "READY"); got != float64(want) {
		return fmt.Errorf("%v endpoints are READY, want %d", got, want)
	}
	return nil
}

// greet makes one call, whatever comes of it.
func greet(t *testing.T, url string) {
	t.Helper()
	answer, err := http.Post(url+"api/v1/plugins/zh/kinds/greeter/methods/Greet", "application/json", strings.NewReader(`["Ada"]`))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
}
