// SPDX-License-Identifier: MPL-2.0

package kit

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

// Host is a running peer host, which does what it is told on its control socket.
type Host struct {
	T       *testing.T
	Cmd     *exec.Cmd
	Stderr  *Buffer
	control *rpc.Client
}

// StartHost starts a peer host, which ends with the test together with what it has
// started. Env is its environment.
func StartHost(t *testing.T, path string, env []string) *Host {
	t.Helper()
	ours, theirs := socketPair(t)
	h := &Host{T: t, Cmd: exec.Command(path), Stderr: new(Buffer)}
	h.Cmd.Env = env
	h.Cmd.Stderr = h.Stderr
	h.Cmd.ExtraFiles = []*os.File{theirs}
	// Its children are in its group, so that a failed test leaves none behind.
	h.Cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// A plugin that outlives its host holds the host's stderr open.
	h.Cmd.WaitDelay = time.Second
	if err := h.Cmd.Start(); err != nil {
		t.Fatalf("start the host %s: %v", path, err)
	}
	_ = theirs.Close()
	h.control = rpc.NewClientWithCodec(jsonrpc.NewClientCodec(ours))
	t.Cleanup(h.Stop)
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

// Stop closes the control socket, upon which the host ends, and ends what it has started
// and left. The test does so in its end.
func (h *Host) Stop() {
	_ = h.control.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.Cmd.Wait()
	}()
	select {
	case <-done:
	case <-time.After(Patience):
		_ = h.Cmd.Process.Kill()
		<-done
		h.T.Errorf("the host %s did not end when its control socket closed", h.Cmd.Path)
	}
	_ = syscall.Kill(-h.Cmd.Process.Pid, syscall.SIGKILL)
	if h.T.Failed() {
		h.T.Logf("stderr of the host %s:\n%s", h.Cmd.Path, Tail(h.Stderr.String()))
	}
}

// Send starts a command. The caller waits on the call's Done, with a deadline.
func (h *Host) Send(command string, args, reply any) *rpc.Call {
	return h.control.Go("Host."+command, args, reply, make(chan *rpc.Call, 1))
}

// Do runs a command and returns the error that it answered. A command that does not
// answer in time ends the test.
func (h *Host) Do(command string, args, reply any) error {
	h.T.Helper()
	call := h.Send(command, args, reply)
	select {
	case <-call.Done:
		return call.Error
	case <-time.After(Patience):
		_ = h.Cmd.Process.Signal(syscall.SIGQUIT)
		_ = h.Cmd.Wait()
		h.T.Fatalf("the host %s did not answer %s %+v within %v; its goroutines:\n%s", h.Cmd.Path, command, args, Patience, h.Stderr.String())
		return nil
	}
}

// Must runs a command that must not fail.
func (h *Host) Must(command string, args, reply any) {
	h.T.Helper()
	if err := h.Do(command, args, reply); err != nil {
		h.T.Fatalf("host %s: %s %+v: %v", h.Cmd.Path, command, args, err)
	}
}

// Act runs an action in the plugin and returns its outcome.
func (h *Host) Act(name, do, text string, n int64) (hostapi.Outcome, error) {
	h.T.Helper()
	var out hostapi.Outcome
	err := h.Do("Act", hostapi.Action{Name: name, Do: do, Text: text, N: n}, &out)
	return out, err
}

// Status is store.Status.
type Status struct {
	Pid        int
	Goroutines int
	HeapBytes  uint64
	Library    string
	Sleeping   int64
	Stacks     string
}

// Report asks the plugin of a client for its status, wherever it runs.
func (h *Host) Report(name string) Status {
	h.T.Helper()
	out, err := h.Act(name, "report", "", 0)
	if err != nil {
		h.T.Fatalf("ask the plugin of client %q for its status: %v\nlog of the host:\n%s", name, err, strings.Join(h.Logs(name), "\n"))
	}
	var s Status
	if err := json.Unmarshal([]byte(out.Text), &s); err != nil {
		h.T.Fatalf("read the plugin's status %q: %v", out.Text, err)
	}
	return s
}

// Logs is what a client has logged.
func (h *Host) Logs(name string) []string {
	h.T.Helper()
	var out hostapi.Logs
	h.Must("Logs", hostapi.Named{Name: name}, &out)
	return out.Lines
}

// State is a client's.
func (h *Host) State(name string) hostapi.State {
	h.T.Helper()
	var out hostapi.State
	h.Must("State", hostapi.Named{Name: name}, &out)
	return out
}

// Output is what the plugin of a client has printed.
func (h *Host) Output(name string) hostapi.Output {
	h.T.Helper()
	var out hostapi.Output
	h.Must("Output", hostapi.Named{Name: name}, &out)
	return out
}

// Started is the process that a client takes for its plugin's.
func (h *Host) Started(name string) int {
	h.T.Helper()
	var r hostapi.Reattach
	h.Must("ReattachConfig", hostapi.Named{Name: name}, &r)
	return r.Pid
}

// Open makes a client, connects it and dispenses the store.
func (h *Host) Open(spec hostapi.Client) {
	h.T.Helper()
	h.Must("New", spec, &hostapi.None{})
	if err := h.Do("Connect", hostapi.Named{Name: spec.Name}, &hostapi.Connection{}); err != nil {
		h.T.Fatalf("connect %+v: %v\nlog of the host:\n%s", spec, err, strings.Join(h.Logs(spec.Name), "\n"))
	}
	h.Must("Dispense", hostapi.Kind{Name: spec.Name, Kind: "store"}, &hostapi.None{})
}
