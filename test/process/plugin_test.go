// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// networkPlugin is a plugin process that listens on TCP.
type networkPlugin struct {
	cmd  *exec.Cmd
	line string       // what it said on stdout
	port string       // empty on a unix socket
	logs bytes.Buffer // its stderr, complete once it has ended
	rest chan string  // the rest of its stdout, once it has ended
}

// startNetworkPlugin starts a plugin of bin and waits until it listens. The test
// kills it at its end if nothing else did.
func startNetworkPlugin(t *testing.T, name string, env ...string) *networkPlugin {
	t.Helper()
	return startPlugin(t, filepath.Join(bin, name), env...)
}

// startPlugin starts the executable at path likewise.
func startPlugin(t *testing.T, path string, env ...string) *networkPlugin {
	t.Helper()
	p := &networkPlugin{cmd: exec.Command(path), rest: make(chan string, 1)}
	p.cmd.Env = environment(append([]string{"BASIC_PLUGIN=hello", "PLUGIN_HOST=true"}, env...)...)
	p.cmd.Stderr = &p.logs
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	lines := bufio.NewReader(stdout)
	if p.line, err = lines.ReadString('\n'); err != nil {
		_ = p.cmd.Wait()
		t.Fatalf("the plugin said %q and ended: %v\n%s", p.line, err, &p.logs)
	}
	go func() {
		rest, _ := io.ReadAll(lines)
		p.rest <- string(rest)
	}()
	fields := strings.Split(p.line, "|")
	if fields[2] == "unix" {
		return p
	}
	if _, p.port, err = net.SplitHostPort(fields[3]); err != nil {
		t.Fatalf("handshake line %q: %v", p.line, err)
	}
	return p
}

// address is where a host of this machine reaches p.
func (p *networkPlugin) address() string { return "127.0.0.1:" + p.port }

// end sends sig and waits until p has ended. It gives the exit code and how long
// that took.
func (p *networkPlugin) end(t *testing.T, sig syscall.Signal) (int, time.Duration) {
	t.Helper()
	start := time.Now()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	<-p.rest
	err := p.cmd.Wait()
	if p.cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return p.cmd.ProcessState.ExitCode(), time.Since(start)
}

// usage is what a process holds.
type usage struct{ fds, threads int }

func (u usage) String() string { return fmt.Sprintf("%d fds, %d threads", u.fds, u.threads) }

func (p *networkPlugin) usage(t *testing.T) usage {
	t.Helper()
	fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return usage{len(fds), len(threads)}
}
