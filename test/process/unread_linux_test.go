// SPDX-License-Identifier: MPL-2.0

package process

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/host/daemon/daemontest/address"
)

// fullPipe gives the writing end of a pipe into which nothing fits any more, and that
// nobody reads.
func fullPipe(t *testing.T) *os.File {
	t.Helper()
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if err := syscall.SetNonblock(ends[1], true); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{4096, 1} {
		for err := error(nil); err == nil; {
			_, err = syscall.Write(ends[1], make([]byte, size))
		}
	}
	if err := syscall.SetNonblock(ends[1], false); err != nil {
		t.Fatal(err)
	}
	out, in := os.NewFile(uintptr(ends[0]), "out"), os.NewFile(uintptr(ends[1]), "in")
	t.Cleanup(func() { _ = in.Close(); _ = out.Close() })
	return in
}

// TestUnreadOutput: no write holds up the host, nor its end on the first signal.
func TestUnreadOutput(t *testing.T) {
	cases := map[string]struct {
		args           []string
		stdout, stderr bool // is full
		code           int
	}{
		"serve, stderr":   {[]string{"serve"}, false, true, 0},
		"serve, stdout":   {[]string{"serve"}, true, false, 0},
		"serve, both":     {[]string{"serve"}, true, true, 0},
		"once, stderr":    {nil, false, true, 0},
		"once, stdout":    {nil, true, false, 130},
		"once, both":      {nil, true, true, 130},
		"watch, stdout":   {[]string{"plugins", "--watch"}, true, false, 130},
		"version, stdout": {[]string{"version"}, true, false, 130},
		"usage, stderr":   {[]string{"nonsense"}, false, true, 2},
	}
	p := startNetworkPlugin(t, "greeter-zh.po")
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(filepath.Join(bin, "basic"), tc.args...)
			address := address.Hold(t)
			cmd.Env = environment("BASIC_LISTEN="+address, "LOG_LEVEL=trace", "NETWORK_PLUGIN=zh="+p.address(), "PLUGIN_DIR="+bin)
			if len(tc.args) == 0 || tc.args[0] != "serve" {
				cmd.Env = environment("LOG_LEVEL=trace", "NETWORK_PLUGIN=zh="+p.address(), "PLUGIN_DIR="+bin)
			}
			if tc.stdout {
				cmd.Stdout = fullPipe(t)
			}
			if tc.stderr {
				cmd.Stderr = fullPipe(t)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = cmd.Wait()
			}()
			t.Cleanup(func() { _ = cmd.Process.Kill(); <-ended })
			if tc.args != nil && tc.args[0] == "serve" {
				eventually(t, func() error { return get("http://" + address + "/readyz") })
				eventually(t, func() error { return get("http://" + address + "/metrics") })
			}
			if tc.code == 130 {
				untilBlocked(t, cmd.Process.Pid)
			}
			if tc.code == 0 && tc.args != nil || tc.code == 130 {
				_ = cmd.Process.Signal(syscall.SIGTERM)
			}
			select {
			case <-ended:
			case <-time.After(patience): // The bound is 2 s for each stream, on a machine that is idle.
				t.Fatalf("it has not ended after %v", patience)
			}
			if got := cmd.ProcessState.ExitCode(); got != tc.code {
				t.Errorf("it ended with %d (%v), want %d", got, cmd.ProcessState, tc.code)
			}
		})
	}
}

// untilBlocked waits until a thread of a process waits in a write to a pipe.
func untilBlocked(t *testing.T, pid int) {
	t.Helper()
	eventually(t, func() error {
		waits, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", pid))
		for _, w := range waits {
			if raw, err := os.ReadFile(w); err == nil && strings.HasPrefix(string(raw), fmt.Sprintf("%d 0x1 ", syscall.SYS_WRITE)) {
				return nil
			}
		}
		return errors.New("it writes nothing")
	})
}

func get(url string) error {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return err
}
