// SPDX-License-Identifier: MPL-2.0

package kit

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/reattach/reattach/host/daemon/daemontest/address"
)

// Addresses gives some of this machine at which nobody but the test listens until it ends.
func Addresses(t testing.TB, n int) []string {
	t.Helper()
	list := make([]string, n)
	for i := range list {
		list[i] = address.Hold(t)
	}
	return list
}

// Process is a program that runs until its test ends, or End is called.
type Process struct {
	// Stdout gives its lines.
	Stdout *bufio.Scanner
	cmd    *exec.Cmd
}

// Start starts cmd. What it writes to stderr is logged if the test fails.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Process{Stdout: bufio.NewScanner(out), cmd: cmd}
	t.Cleanup(func() {
		p.End(syscall.SIGTERM)
		if t.Failed() && stderr.Len() > 0 {
			t.Logf("%s said:\n%.4000s", cmd.Path, stderr.String())
		}
	})
	return p
}

// PID is the number of its process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends it a signal.
func (p *Process) Signal(t testing.TB, signal os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		t.Error(err)
	}
}

// End sends a signal and waits for the end. It may be called again.
func (p *Process) End(signal os.Signal) {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Signal(signal)
		_ = p.cmd.Wait()
	}
}
