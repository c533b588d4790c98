// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// podSpec says how to start a plugin that is nobody's child.
type podSpec struct {
	hostapi.Plugin

	// Env is added to the environment. Without PLUGIN_HOST in it the plugin
	// listens where a child listens.
	Env []string

	// Stdout gets what follows the handshake line on the container's own
	// stdout. nil: it is thrown away.
	Stdout io.Writer
}

// onNetwork is the spec of a plugin in network mode, which only the fork has.
func onNetwork(plugin hostapi.Plugin, env ...string) podSpec {
	return podSpec{Plugin: plugin, Env: append([]string{"PLUGIN_HOST=127.0.0.1"}, env...)}
}

// single is the configuration of a plugin with one version of one protocol.
func single(protocol string) hostapi.Plugin {
	return hostapi.Plugin{Versions: map[int]string{1: protocol}}
}

// pod is a plugin that was started by the test, as a pod's container is, and
// so has no host that it belongs to.
type pod struct {
	t        *testing.T
	side     side
	cmd      *exec.Cmd
	stderr   *lockedBuffer
	exited   chan struct{}
	exitCode int // valid once exited is closed

	version, protocol, network, address string
}

// startPod starts a plugin and waits until it says where it listens.
func startPod(t *testing.T, s side, spec podSpec) *pod {
	t.Helper()
	p := &pod{t: t, side: s, cmd: exec.Command(peers(t).plugin(s)), stderr: &lockedBuffer{}, exited: make(chan struct{})}
	p.cmd.Env = append(peers(t).env(), "INTEROP_PLUGIN=the-peers-know-each-other", spec.Plugin.Env())
	p.cmd.Env = append(p.cmd.Env, spec.Env...)
	p.cmd.Stderr = p.stderr
	line := make(chan string, 1)
	p.cmd.Stdout = &lineThenRest{first: line, rest: spec.Stdout}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start the plugin of %s: %v", s, err)
	}
	go func() {
		_ = p.cmd.Wait()
		p.exitCode = p.cmd.ProcessState.ExitCode()
		close(p.exited)
	}()
	t.Cleanup(p.stop)
	select {
	case text := <-line:
		p.readLine(text)
	case <-p.exited:
		t.Fatalf("the plugin of %s ended with code %d before it served:\n%s", s, p.exitCode, p.stderr.String())
	case <-time.After(patience):
		t.Fatalf("the plugin of %s said not where it listens within %v", s, patience)
	}
	return p
}

func (p *pod) readLine(line string) {
	p.t.Helper()
	parts := strings.Split(line, "|")
	if len(parts) < 5 {
		p.t.Fatalf("the plugin of %s printed %q, want a handshake line", p.side, line)
	}
	p.version, p.network, p.address, p.protocol = parts[1], parts[2], parts[3], parts[4]
}

// client is the configuration that reattaches to the pod, as one does over a
// network: without a process id.
func (p *pod) client(name string) hostapi.Client {
	return hostapi.Client{
		Name:     name,
		Versions: map[int]string{1: p.protocol},
		Reattach: &hostapi.Reattach{Protocol: p.protocol, Network: p.network, Address: p.address},
	}
}

// clientAt is client for another address that leads to the pod.
func (p *pod) clientAt(name string, r *relay) hostapi.Client {
	spec := p.client(name)
	spec.Reattach.Network, spec.Reattach.Address = "tcp", r.lis.Addr().String()
	return spec
}

func (p *pod) pid() int { return p.cmd.Process.Pid }

func (p *pod) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatalf("send %v to the plugin of %s: %v", sig, p.side, err)
	}
}

// running reports whether the process has not ended.
func (p *pod) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// awaitExit waits for the end of the process and returns its exit code.
func (p *pod) awaitExit() int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.exitCode
	case <-time.After(patience):
		p.t.Fatalf("the plugin of %s did not end within %v", p.side, patience)
		return 0
	}
}

func (p *pod) stop() {
	_ = p.cmd.Process.Kill()
	<-p.exited
	if p.t.Failed() {
		p.t.Logf("stderr of the plugin of %s:\n%s", p.side, tail(p.stderr.String()))
	}
}

// residentBytes reads how much memory the process occupies.
func (p *pod) residentBytes() int64 {
	p.t.Helper()
	return procStatus(p.t, p.pid(), "VmRSS:")
}

// procStatus reads a size from /proc/PID/status, in bytes.
func procStatus(t *testing.T, pid int, field string) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatalf("read the state of process %d: %v", pid, err)
	}
	scan := bufio.NewScanner(bytes.NewReader(text))
	for scan.Scan() {
		words := strings.Fields(scan.Text())
		if len(words) == 3 && words[0] == field {
			kb, err := strconv.ParseInt(words[1], 10, 64)
			if err != nil {
				t.Fatalf("read %s of process %d: %v", field, pid, err)
			}
			return kb << 10
		}
	}
	t.Fatalf("process %d has no %s", pid, field)
	return 0
}

// lineThenRest hands the first line to a channel and the rest to a writer.
type lineThenRest struct {
	first chan<- string
	rest  io.Writer
	begin []byte
	sent  bool
}

func (w *lineThenRest) Write(p []byte) (int, error) {
	if w.sent {
		if w.rest != nil {
			return w.rest.Write(p)
		}
		return len(p), nil
	}
	w.begin = append(w.begin, p...)
	if end := bytes.IndexByte(w.begin, '\n'); end >= 0 {
		w.sent = true
		w.first <- string(w.begin[:end])
		if rest := w.begin[end+1:]; w.rest != nil && len(rest) > 0 {
			if _, err := w.rest.Write(rest); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// lockedBuffer is a buffer that a process writes and a test reads.
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
