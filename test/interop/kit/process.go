// SPDX-License-Identifier: MPL-2.0

package kit

import (
	"bytes"
	"io"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// Process is a program that the test has started and that is nobody else's child: what a
// pod's container is.
type Process struct {
	T        *testing.T
	Cmd      *exec.Cmd
	Line     string // the first that it has printed
	Stderr   *Buffer
	Exited   chan struct{}
	ExitCode int // valid once Exited is closed
}

// StartProcess starts a program and waits for the first line that it prints. What
// follows goes to rest, if that is not nil. The process ends with the test.
func StartProcess(t *testing.T, cmd *exec.Cmd, rest io.Writer) *Process {
	t.Helper()
	p := &Process{T: t, Cmd: cmd, Stderr: new(Buffer), Exited: make(chan struct{})}
	cmd.Stderr = p.Stderr
	line := make(chan string, 1)
	cmd.Stdout = &lineThenRest{first: line, rest: rest}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", cmd.Path, err)
	}
	go func() {
		_ = cmd.Wait()
		p.ExitCode = cmd.ProcessState.ExitCode()
		close(p.Exited)
	}()
	t.Cleanup(p.stop)
	select {
	case p.Line = <-line:
	case <-p.Exited:
		select {
		case p.Line = <-line: // both had come
		default:
			t.Fatalf("%s ended with code %d before it served:\n%s", cmd.Path, p.ExitCode, p.Stderr.String())
		}
	case <-time.After(Patience):
		t.Fatalf("%s said not where it listens within %v", cmd.Path, Patience)
	}
	return p
}

func (p *Process) stop() {
	_ = p.Cmd.Process.Kill()
	<-p.Exited
	if p.T.Failed() {
		p.T.Logf("stderr of %s:\n%s", p.Cmd.Path, Tail(p.Stderr.String()))
	}
}

// Pid is the process id.
func (p *Process) Pid() int { return p.Cmd.Process.Pid }

// Running reports whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.Exited:
		return false
	default:
		return true
	}
}

// Signal sends a signal.
func (p *Process) Signal(sig syscall.Signal) {
	p.T.Helper()
	if err := p.Cmd.Process.Signal(sig); err != nil {
		p.T.Fatalf("send %v to %s: %v", sig, p.Cmd.Path, err)
	}
}

// AwaitExit waits for the end of the process and returns its exit code.
func (p *Process) AwaitExit() int {
	p.T.Helper()
	select {
	case <-p.Exited:
		return p.ExitCode
	case <-time.After(Patience):
		p.T.Fatalf("%s did not end within %v", p.Cmd.Path, Patience)
		return 0
	}
}

// End sends a signal and waits for the end.
func (p *Process) End(sig syscall.Signal) int {
	p.T.Helper()
	p.Signal(sig)
	return p.AwaitExit()
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
