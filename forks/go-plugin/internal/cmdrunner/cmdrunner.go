// SPDX-License-Identifier: MPL-2.0

// Package cmdrunner runs plugins as processes of this machine: it starts an
// exec.Cmd, or finds a process that runs already.
package cmdrunner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin/runner"
)

// outputGrace is how long Wait lets a process's last output be read after the
// process has ended. It passes in full only when nobody reads, or when a
// process that the plugin left behind still holds the pipe.
const outputGrace = time.Second

// Runner is a plugin started as a child process. It implements runner.Runner.
type Runner struct {
	sameMachine

	logger hclog.Logger
	cmd    *exec.Cmd
	path   string

	stdout, stderr *output
	// childEnds are the ends the child writes to; closed here once it has them.
	childEnds []*os.File
}

var _ runner.Runner = (*Runner)(nil)

// NewCmdRunner prepares cmd, which must not have been started and whose Stdout and
// Stderr it takes. The pipes are released by Wait, or by a Start that fails.
func NewCmdRunner(logger hclog.Logger, cmd *exec.Cmd) (*Runner, error) {
	if cmd.Stdout != nil || cmd.Stderr != nil {
		return nil, fmt.Errorf("run %s: Stdout and Stderr of the command must not be set", cmd.Path)
	}
	stdout, stdoutEnd, err := newOutput()
	if err != nil {
		return nil, fmt.Errorf("run %s: create a pipe for stdout: %w", cmd.Path, err)
	}
	stderr, stderrEnd, err := newOutput()
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
	}, nil
}

// Start starts the process. The context is not used: a process starts at once or fails.
func (r *Runner) Start(context.Context) error {
	r.logger.Debug("starting plugin", "path", r.path, "args", r.cmd.Args)
	err := r.cmd.Start()
	for _, end := range r.childEnds {
		_ = end.Close() // the child has its own copy
	}
	if err != nil {
		_, _ = r.stdout.Close(), r.stderr.Close()
		return fmt.Errorf("start plugin %s: %w", r.path, err)
	}
	r.logger.Debug("plugin started", "path", r.path, "pid", r.cmd.Process.Pid)
	return nil
}

// Wait blocks until the process has ended and its output has been read, at
// most a second longer than the process, and releases the pipes. It may run
// beside the reading of Stdout and Stderr. An exit status other than 0 gives
// an *exec.ExitError. The context is not used, because a child that is not
// waited for stays in the process table; Kill ends the wait.
func (r *Runner) Wait(context.Context) error {
	err := r.cmd.Wait()
	grace := time.NewTimer(outputGrace)
	defer grace.Stop()
	for _, out := range []*output{r.stdout, r.stderr} {
		select {
		case <-out.ended:
		case <-grace.C:
			grace.Reset(0) // no further second for the other one
		}
		_ = out.Close()
	}
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
