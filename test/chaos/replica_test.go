// SPDX-License-Identifier: MPL-2.0

package chaos

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/reattach/reattach/host/daemon/daemontest/address"
)

// replica is a place on the network, and the process that serves there now.
type replica struct {
	name, port, log string
	env             []string
	cmd             *exec.Cmd
	ended           chan struct{}
}

// startReplica starts a process that serves the counter at an address of its own, and kills it
// when the test ends.
func startReplica(t *testing.T, name, log string, env ...string) *replica {
	t.Helper()
	_, port, err := net.SplitHostPort(address.Hold(t))
	if err != nil {
		t.Fatal(err)
	}
	r := &replica{name: name, port: port, log: log, env: env}
	r.start(t)
	t.Cleanup(func() { r.signal(syscall.SIGCONT); r.end(syscall.SIGKILL) })
	return r
}

// address is the same in the replica's next life.
func (r *replica) address() string { return "127.0.0.1:" + r.port }

func (r *replica) start(t *testing.T) {
	t.Helper()
	r.cmd = exec.Command(filepath.Join(bin, "replica"))
	r.cmd.Env = []string{
		"CHAOS_PLUGIN=counter", "PLUGIN_HOST=127.0.0.1", "PLUGIN_DRAIN_TIMEOUT=5s",
		"REPLICA_NAME=" + r.name, "REPLICA_LOG=" + r.log,
	}
	r.cmd.Env = append(r.cmd.Env, "PLUGIN_MIN_PORT="+r.port, "PLUGIN_MAX_PORT="+r.port)
	r.cmd.Env = append(r.cmd.Env, r.env...)
	line := launch(t, r.cmd)
	if strings.Count(line, "|") < 3 {
		t.Fatalf("replica %s said %q", r.name, line)
	}
	r.ended = make(chan struct{})
	go func() {
		defer close(r.ended)
		_ = r.cmd.Wait() // how it ended is the test's doing
	}()
}

// launch starts cmd and gives its first line of output.
func launch(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	cmd.Stdout = in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = in.Close()
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatalf("%s said %q and ended: %v", cmd, line, err)
	}
	go func() {
		defer out.Close()
		_, _ = io.Copy(io.Discard, lines)
	}()
	return strings.TrimSpace(line)
}

func (r *replica) signal(s syscall.Signal) { _ = r.cmd.Process.Signal(s) }

// end sends a signal that ends the process, and waits until it has.
func (r *replica) end(s syscall.Signal) {
	r.signal(s)
	<-r.ended
}

// logPath gives the file that replicas of this test write to.
func logPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "executed")
}

// executed reads how often each call was run.
func executed(t *testing.T, log string) map[string]int {
	t.Helper()
	raw, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	count := make(map[string]int)
	for id := range strings.Lines(string(raw)) {
		count[strings.TrimSpace(id)]++
	}
	return count
}

func addresses(name string, replicas []*replica) string {
	list := make([]string, 0, len(replicas))
	for _, r := range replicas {
		list = append(list, fmt.Sprintf("%s=%s", name, r.address()))
	}
	return strings.Join(list, ",")
}
