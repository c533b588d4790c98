// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"encoding/json"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// patience bounds every wait for something that must happen.
const patience = 30 * time.Second

// hostProc is a running peer host.
type hostProc struct {
	t       *testing.T
	side    side
	cmd     *exec.Cmd
	stderr  *lockedBuffer
	control *rpc.Client
}

// startHost starts a peer host, which ends with the test. Env is added to its
// environment.
func startHost(t *testing.T, s side, env ...string) *hostProc {
	t.Helper()
	ours, theirs := socketPair(t)
	h := &hostProc{t: t, side: s, cmd: exec.Command(peers(t).host(s)), stderr: &lockedBuffer{}}
	h.cmd.Env = append(peers(t).env(), env...)
	h.cmd.Stderr = h.stderr
	h.cmd.ExtraFiles = []*os.File{theirs}
	// Its children are in its group, so that a failed test leaves none behind.
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A plugin that outlives its host holds the host's stderr open.
	h.cmd.WaitDelay = time.Second
	if err := h.cmd.Start(); err != nil {
		t.Fatalf("start the host of %s: %v", s, err)
	}
	_ = theirs.Close()
	h.control = rpc.NewClientWithCodec(jsonrpc.NewClientCodec(ours))
	t.Cleanup(h.stop)
	return h
}

func socketPair(t *testing.T) (net.Conn, *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("make the control socket: %v", err)
	}
	mine := os.NewFile(uintptr(fds[0]), "control")
	defer mine.Close()
	conn, err := net.FileConn(mine)
	if err != nil {
		t.Fatalf("open the control socket: %v", err)
	}
	return conn, os.NewFile(uintptr(fds[1]), "control of the host")
}

// stop closes the control socket, upon which the host ends.
func (h *hostProc) stop() {
	_ = h.control.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		_ = h.cmd.Process.Kill()
		<-done
		h.t.Errorf("the host of %s did not end when its control socket closed", h.side)
	}
	_ = syscall.Kill(-h.cmd.Process.Pid, syscall.SIGKILL)
	if h.t.Failed() {
		h.t.Logf("stderr of the host of %s:\n%s", h.side, tail(h.stderr.String()))
	}
}

// send starts a command. The caller waits on the call's Done, with a deadline.
func (h *hostProc) send(command string, args, reply any) *rpc.Call {
	return h.control.Go("Host."+command, args, reply, make(chan *rpc.Call, 1))
}

// do runs a command and returns the error that it answered. A command that
// does not answer in time ends the test.
func (h *hostProc) do(command string, args, reply any) error {
	h.t.Helper()
	call := h.send(command, args, reply)
	select {
	case <-call.Done:
		return call.Error
	case <-time.After(patience):
		_ = h.cmd.Process.Signal(syscall.SIGQUIT)
		_ = h.cmd.Wait()
		h.t.Fatalf("the host of %s did not answer %s %+v within %v; its goroutines:\n%s",
			h.side, command, args, patience, h.stderr.String())
		return nil
	}
}

// must runs a command that must not fail.
func (h *hostProc) must(command string, args, reply any) {
	h.t.Helper()
	if err := h.do(command, args, reply); err != nil {
		h.t.Fatalf("host of %s: %s %+v: %v", h.side, command, args, err)
	}
}

func (h *hostProc) library() string {
	h.t.Helper()
	var out hostapi.Outcome
	h.must("Library", hostapi.None{}, &out)
	return out.Text
}

func (h *hostProc) state(name string) hostapi.State {
	h.t.Helper()
	var out hostapi.State
	h.must("State", hostapi.Named{Name: name}, &out)
	return out
}

func (h *hostProc) output(name string) hostapi.Output {
	h.t.Helper()
	var out hostapi.Output
	h.must("Output", hostapi.Named{Name: name}, &out)
	return out
}

func (h *hostProc) logs(name string) []string {
	h.t.Helper()
	var out hostapi.Logs
	h.must("Logs", hostapi.Named{Name: name}, &out)
	return out.Lines
}

// act runs an action in the plugin and returns its outcome.
func (h *hostProc) act(name, do, text string, n int64) (hostapi.Outcome, error) {
	h.t.Helper()
	var out hostapi.Outcome
	err := h.do("Act", hostapi.Action{Name: name, Do: do, Text: text, N: n}, &out)
	return out, err
}

// status is store.Status.
type status struct {
	Pid        int
	Goroutines int
	HeapBytes  uint64
	Library    string
	Sleeping   int64
	Stacks     string
}

func (h *hostProc) report(name string) status {
	h.t.Helper()
	out, err := h.act(name, "report", "", 0)
	if err != nil {
		h.t.Fatalf("ask the plugin of client %q for its status: %v", name, err)
	}
	var s status
	if err := json.Unmarshal([]byte(out.Text), &s); err != nil {
		h.t.Fatalf("read the plugin's status %q: %v", out.Text, err)
	}
	return s
}

// open makes a client, connects it and dispenses the store.
func (h *hostProc) open(spec hostapi.Client) {
	h.t.Helper()
	h.must("New", spec, &hostapi.None{})
	h.must("Connect", hostapi.Named{Name: spec.Name}, &hostapi.Connection{})
	h.must("Dispense", hostapi.Kind{Name: spec.Name, Kind: "store"}, &hostapi.None{})
}

// attach opens a client that reattaches to a pod.
func (h *hostProc) attach(name string, p *pod) {
	h.t.Helper()
	h.open(p.client(name))
}

// pidOf returns the process of a client's plugin.
func (h *hostProc) pidOf(name string) int {
	h.t.Helper()
	var r hostapi.Reattach
	h.must("ReattachConfig", hostapi.Named{Name: name}, &r)
	return r.Pid
}

// eventually polls a condition until it holds or patience ends.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	if !within(patience, condition) {
		t.Fatalf("within %v it did not happen that %s", patience, what)
	}
}

// within polls a condition and reports whether it held before the limit.
func within(limit time.Duration, condition func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); ; {
		if condition() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
		<-tick.C
	}
}

// tail shortens a long text to its end.
func tail(text string) string {
	const limit = 8 << 10
	if len(text) <= limit {
		return text
	}
	return "..." + strings.ToValidUTF8(text[len(text)-limit:], "")
}
