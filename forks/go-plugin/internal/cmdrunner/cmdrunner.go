// SPDX-License-Identifier: MPL-2.0

// Package cmdrunner runs plugins as processes of this machine: it starts an
// exec.Cmd, or finds a process that runs already.
package cmdrunner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/runner"
)

// Runner is a plugin started as a child process. It implements runner.Runner.
type Runner struct {
	// EndWithHost makes the system kill the process when this one ends, where the
	// system can do so (Linux). It is set before Start.
	EndWithHost bool

	sameMachine

	logger hclog.Logger
	cmd    *exec.Cmd
	path   string

	stdout, stderr *os.File   // the ends that are read
	childEnds      []*os.File // what the child has of pipes; closed here once it has them

	ended chan error // gives what waiting for the process gave, once
}

var _ runner.Runner = (*Runner)(nil)

// NewCmdRunner prepares cmd, which must not have been started and whose Stdout and
// Stderr it takes. The caller closes the pipes, but for those of a Start that fails.
func NewCmdRunner(logger hclog.Logger, cmd *exec.Cmd) (*Runner, error) {
	if cmd.Stdout != nil || cmd.Stderr != nil {
		return nil, fmt.Errorf("run %s: Stdout and Stderr of the command must not be set", cmd.Path)
	}
	stdout, stdoutEnd, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("run %s: create a pipe for stdout: %w", cmd.Path, err)
	}
	stderr, stderrEnd, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("run %s: create a pipe for stderr: %w", cmd.Path,
			errors.Join(err, stdout.Close(), stdoutEnd.Close()))
	}
	cmd.Stdout, cmd.Stderr = stdoutEnd, stderrEnd
	return &Runner{
		logger:    logger,
		cmd:       cmd,
		path:      cmd.Path,
		stdout:    stdout,
		stderr:    stderr,
		childEnds: []*os.File{stdoutEnd, stderrEnd},
		ended:     make(chan error, 1),
	}, nil
}

// Start starts the process. The context is not used: a process starts at once or
// fails, with the error of os/exec as it is.
func (r *Runner) Start(context.Context) error {
	r.logger.Debug("starting plugin", "path", r.path, "args", r.cmd.Args)
	started := make(chan error, 1)
	go r.run(started)
	err := <-started
	for _, end := range r.childEnds {
		_ = end.Close() // the child has its own copy
	}
	if err != nil {
		_, _ = r.stdout.Close(), r.stderr.Close()
		return err
	}
	r.logger.Debug("plugin started", "path", r.path, "pid", r.cmd.Process.Pid)
	return nil
}

// run starts the process and waits for it, both on one thread: Linux takes the
// end of the thread that started a child for the end of its parent.
func (r *Runner) run(started chan<- error) {
	if r.EndWithHost {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		killWithParent(r.cmd)
	}
	stop, err := r.feedStdin()
	if err == nil {
		defer stop()
		err = r.cmd.Start()
	}
	started <- err
	if err == nil {
		r.ended <- r.cmd.Wait()
	}
}

// feedStdin gives the process a pipe for its standard input if that is no file.
// os/exec does so too, but then waits for the end of the input, which may never
// come. What is not read when the process has ended is lost.
func (r *Runner) feedStdin() (stop func(), err error) {
	source := r.cmd.Stdin
	if _, isFile := source.(*os.File); source == nil || isFile {
		return func() {}, nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("run %s: create a pipe for stdin: %w", r.path, err)
	}
	r.cmd.Stdin = read
	r.childEnds = append(r.childEnds, read)
	go func() {
		_, _ = io.Copy(write, source) // The process need not read all of it.
		_ = write.Close()
	}()
	return func() { _ = write.Close() }, nil
}

// Stdout is the child's standard output.
func (r *Runner) Stdout() io.ReadCloser { return r.stdout }

// Stderr is the child's standard error.
func (r *Runner) Stderr() io.ReadCloser { return r.stderr }

// Wait blocks until the process has ended. What it wrote last may still be read then.
// An exit status other than 0 gives an *exec.ExitError. The context is not used,
// because a child that is not waited for stays in the process table; Kill ends the
// wait.
func (r *Runner) Wait(context.Context) error {
	err := <-r.ended
	r.ended <- err // for whoever asks again
	if err != nil {
		return fmt.Errorf("plugin %s: %w", r.path, err)
	}
	return nil
}

// Kill ends the process at once, by SIGKILL where there are signals. It is no
// error when it was not started or has ended.
func (r *Runner) Kill(context.Context) error {
	if r.cmd.Process == nil {
		return nil
	}
	return kill(r.cmd.Process)
}

func kill(process *os.Process) error {
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill process %d: %w", process.Pid, err)
	}
	return nil
}

// ID returns the process ID in decimal, "0" before Start.
func (r *Runner) ID() string {
	if r.cmd.Process == nil {
		return "0"
	}
	return strconv.Itoa(r.cmd.Process.Pid)
}

// Name returns the path of the executable.
func (r *Runner) Name() string { return r.path }

// sameMachine translates addresses between two processes of one machine, where
// there is nothing to translate.
type sameMachine struct{}

// PluginToHost returns its arguments.
func (sameMachine) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}

// HostToPlugin returns its arguments.
func (sameMachine) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}
