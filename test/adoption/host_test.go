// SPDX-License-Identifier: MPL-2.0

package adoption

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
const patience = 40 * time.Second

// none is the answer that nobody reads.
var none = &hostapi.None{}

// hostProc is a peer host, which does what it is told on its control socket.
type hostProc struct {
	t       *testing.T
	cmd     *exec.Cmd
	control *rpc.Client
}

// startHost starts a host, which ends with the test together with what it has started.
func startHost(t *testing.T, s side, env ...string) *hostProc {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	mine, theirs := os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control of the host")
	defer mine.Close()
	defer theirs.Close()
	conn, err := net.FileConn(mine)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(programs(t).host(s))
	cmd.Env = append(programs(t).env(), env...)
	stderr := new(lockedBuffer)
	cmd.Stderr = stderr
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = time.Second // what outlives the host holds its stderr open
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h := &hostProc{t: t, cmd: cmd, control: rpc.NewClientWithCodec(jsonrpc.NewClientCodec(conn))}
	t.Cleanup(func() {
		_ = h.control.Close()
		_ = cmd.Wait() // it ends with its control socket
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		if t.Failed() {
			t.Logf("stderr of the host of %s:\n%s", s, stderr.String())
		}
	})
	return h
}

// do runs a command and returns the error that it answered.
func (h *hostProc) do(command string, args, reply any) error {
	h.t.Helper()
	call := h.control.Go("Host."+command, args, reply, make(chan *rpc.Call, 1))
	select {
	case <-call.Done:
		return call.Error
	case <-time.After(patience):
		h.t.Fatalf("the host did not answer %s %+v within %v", command, args, patience)
		return nil
	}
}

// must runs a command that must not fail.
func (h *hostProc) must(command string, args, reply any) {
	h.t.Helper()
	if err := h.do(command, args, reply); err != nil {
		var logs hostapi.Logs
		_ = h.do("Logs", hostapi.Named{Name: "a"}, &logs)
		h.t.Fatalf("%s %+v: %v\nlog of the host:\n%s", command, args, err, strings.Join(logs.Lines, "\n"))
	}
}

// open makes a client, connects it and dispenses the store.
func (h *hostProc) open(spec hostapi.Client) {
	h.t.Helper()
	h.must("New", spec, none)
	h.must("Connect", hostapi.Named{Name: spec.Name}, &hostapi.Connection{})
	h.must("Dispense", hostapi.Kind{Name: spec.Name, Kind: "store"}, none)
}

func (h *hostProc) act(name, do, text string, n int64) (out hostapi.Outcome, err error) {
	h.t.Helper()
	err = h.do("Act", hostapi.Action{Name: name, Do: do, Text: text, N: n}, &out)
	return out, err
}

// pid asks the plugin for its process, wherever that is.
func (h *hostProc) pid(name string) int {
	h.t.Helper()
	out, err := h.act(name, "report", "", 0)
	var status struct{ Pid int }
	if err == nil {
		err = json.Unmarshal([]byte(out.Text), &status)
	}
	if err != nil {
		h.t.Fatalf("ask the plugin of client %q for its status: %v", name, err)
	}
	return status.Pid
}

// shim is the process that the host has started as its plugin.
func (h *hostProc) shim(name string) int {
	h.t.Helper()
	var r hostapi.Reattach
	h.must("ReattachConfig", hostapi.Named{Name: name}, &r)
	return r.Pid
}
