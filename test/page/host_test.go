// SPDX-License-Identifier: MPL-2.0

package page

import (
	"bufio"
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

const patience = time.Minute

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

// process starts a program that runs until the test ends.
func process(t *testing.T, name string, env []string, args ...string) (cmd *exec.Cmd, stdout io.Reader) {
	t.Helper()
	cmd = exec.Command(filepath.Join(bin, name), args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		kill(cmd, syscall.SIGTERM)
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("%s said:\n%.4000s", name, stderr.String())
		}
	})
	return cmd, out
}

// kill ends a process and waits for its end. It may be called again.
func kill(cmd *exec.Cmd, signal os.Signal) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Signal(signal)
		_ = cmd.Wait()
	}
}

// replica starts greeter-zh at an address.
func replica(t *testing.T, address string) *exec.Cmd {
	t.Helper()
	_, port, _ := net.SplitHostPort(address)
	cmd, stdout := process(t, "greeter-zh.po", []string{
		"BASIC_PLUGIN=hello", "PLUGIN_HOST=127.0.0.1", "PLUGIN_MIN_PORT=" + port, "PLUGIN_MAX_PORT=" + port, "PLUGIN_NAME=greeter-zh",
	})
	if !bufio.NewScanner(stdout).Scan() {
		t.Fatalf("greeter-zh at %s does not listen", address)
	}
	return cmd
}

// farm starts many instances in one process.
func farm(t *testing.T, list []string, env ...string) *exec.Cmd {
	t.Helper()
	cmd, stdout := process(t, "farm", append(env, "FARM_ADDRESSES="+strings.Join(list, ",")))
	if line := bufio.NewScanner(stdout); !line.Scan() {
		t.Fatal("the farm does not serve")
	}
	return cmd
}

// host starts basic serve and gives the address of its page.
func host(t *testing.T, env ...string) string {
	t.Helper()
	address := addresses(t, 1)[0]
	process(t, "basic", append([]string{"PLUGIN_DIR=", "BASIC_LISTEN=" + address, "ATTACH_TIMEOUT=2s", "LOG_LEVEL=error"}, env...), "serve")
	url := "http://" + address + "/"
	until(t, "the host serves", func() error {
		return status(url + "healthz")
	})
	return url
}

func status(url string) error {
	answer, err := http.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", answer.Status)
	}
	return nil
}

// until waits until a look finds nothing wrong.
func until(t *testing.T, what string, look func() error) {
	t.Helper()
	kit.Eventually(t, patience, func() error {
		if err := look(); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	})
}

// call calls a method over HTTP, as any client would.
func call(t *testing.T, url, plugin, method, args string) {
	t.Helper()
	answer, err := http.Post(url+"api/v1/plugins/"+plugin+"/kinds/greeter/methods/"+method, "application/json", strings.NewReader(args))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	_ = answer.Body.Close()
}
