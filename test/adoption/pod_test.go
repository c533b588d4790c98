// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"bytes"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// cookie is that of the peers, as an entry of the environment.
const cookie = "INTEROP_PLUGIN=the-peers-know-each-other"

// pod is a program that serves on the network and is nobody's child.
type pod struct {
	t       *testing.T
	cmd     *exec.Cmd
	address string
	stdout  *lockedBuffer
	stderr  *lockedBuffer
	exited  chan struct{}
}

// startPlugin starts our own plugin in network mode, with one version of one protocol.
func startPlugin(t *testing.T, protocol string, env ...string) *pod {
	t.Helper()
	config := hostapi.Plugin{Versions: map[int]string{1: protocol}, MaxMessage: 64 << 20}
	return startPod(t, exec.Command(programs(t).plugin(ours)), append([]string{cookie, config.Env(), "PLUGIN_HOST=127.0.0.1"}, env...)...)
}

// startPod starts a program that prints a handshake line, and waits for that.
func startPod(t *testing.T, cmd *exec.Cmd, env ...string) *pod {
	t.Helper()
	return startProgram(t, cmd, func(line string) (string, bool) {
		parts := strings.Split(line, "|")
		if len(parts) <= 4 {
			return "", false
		}
		return parts[3], true
	}, env...)
}

// startProgram starts a program whose first line says where it listens, as address reads
// it.
func startProgram(t *testing.T, cmd *exec.Cmd, address func(line string) (string, bool), env ...string) *pod {
	t.Helper()
	p := &pod{t: t, cmd: cmd, stdout: new(lockedBuffer), stderr: new(lockedBuffer), exited: make(chan struct{})}
	cmd.Env = append(programs(t).env(), env...)
	cmd.Stdout, cmd.Stderr = p.stdout, p.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.exited)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.exited
		if t.Failed() {
			t.Logf("stderr of %s:\n%s", cmd.Path, p.stderr.String())
		}
	})
	found := false
	eventually(t, "the program says where it listens", func() bool {
		line, _, whole := strings.Cut(p.stdout.String(), "\n")
		if whole {
			p.address, found = address(line)
		}
		return whole || !p.running()
	})
	if !found {
		t.Fatalf("%s printed %q and not where it listens:\n%s", cmd.Path, p.stdout.String(), p.stderr.String())
	}
	return p
}

func (p *pod) pid() int { return p.cmd.Process.Pid }

func (p *pod) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// end sends a signal and waits for the end.
func (p *pod) end(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.t.Fatalf("the plugin did not end within %v of %v", patience, sig)
	}
}

// eventually polls a condition until it holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("within %v it did not happen that %s", patience, what)
		}
	}
}

// lockedBuffer is what a process writes and a test reads.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
