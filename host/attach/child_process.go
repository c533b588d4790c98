// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// child is one run of an executable.
type child struct {
	cmd    *exec.Cmd
	client *plugin.Client
	abort  context.CancelFunc // kills the process and its group, once it runs
	output []*lineLogger      // what it wrote to its standard streams, if that is logged
	last   *Words
	cookie string // the name of the host's

	startTimeout, stopTimeout time.Duration

	stopping sync.Once
}

// newChild prepares a process without starting it.
func newChild(opts ChildOptions, e target.Endpoint, secure *plugin.SecureConfig) *child {
	c := &child{last: new(Words), cookie: opts.Contract.Handshake.MagicCookieKey, startTimeout: opts.StartTimeout, stopTimeout: opts.StopTimeout}
	// The command outlives every context: a child is asked to end before it is
	// made to.
	running, abort := context.WithCancel(context.Background())
	c.abort = abort
	c.cmd = exec.CommandContext(running, e.Address)
	// Of two entries with the same name the last counts.
	c.cmd.Env = append(plugin.HostEnv(), opts.Env...)
	ownGroup(c.cmd)

	config := opts.Contract.ClientConfig(e.Plugin)
	config.Cmd = c.cmd
	config.SkipHostEnv = true // it is in Cmd.Env
	config.EndWithHost = true
	config.SecureConfig = secure
	config.StartTimeout = opts.StartTimeout
	config.MaxMessageBytes = cmp.Or(opts.MaxMessageBytes, plugin.DefaultMaxMessageBytes)
	config.AutoMTLS = opts.AutoMTLS
	output := newRatedOutput(opts.Logger)
	config.Logger = output // go-plugin names the child's lines after its file
	config.Stderr = c.last
	if opts.Output != nil {
		config.SyncStdout, config.SyncStderr = opts.Output(e)
	} else {
		logger := output.Named(e.Plugin)
		stdout, stderr := newLineLogger(logger, "stdout"), newLineLogger(logger, "stderr")
		config.SyncStdout, config.SyncStderr = stdout, stderr
		c.output = []*lineLogger{stdout, stderr}
	}
	c.client = plugin.NewClient(config)
	return c
}

// open starts the process and connects to it. When ctx ends first the process
// is killed, and so it is when it has not served long after it should: what it
// started itself may hold its output open, and go-plugin waits for that.
func (c *child) open(ctx context.Context) (plugin.ClientProtocol, error) {
	late := time.AfterFunc(c.startTimeout+c.stopTimeout, c.abort)
	defer late.Stop()
	stop := context.AfterFunc(ctx, c.abort)
	protocol, err := c.client.Client()
	if !stop() {
		return nil, ctx.Err()
	}
	return protocol, err
}

// stop asks the process to end, kills it if it does not within stopTimeout,
// and returns when it has ended, with all that it started itself and that did
// not leave its group.
func (c *child) stop() {
	c.stopping.Do(func() {
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			c.client.Kill()
		}()
		patience := time.NewTimer(c.stopTimeout)
		defer patience.Stop()
		select {
		case <-killed:
		case <-patience.C:
			c.abort()
			<-killed
		}
		c.abort()
		_ = killGroup(c.cmd)
		for _, out := range c.output {
			out.flush()
		}
	})
}

// reason adds to an error how the process ended and what it wrote last.
func (c *child) reason(err error) error { return c.last.Explain(err, c.client.Err(), c.cookie) }

// ErrOtherCookie is matched by errors of starting a plugin that was made for another cookie.
var ErrOtherCookie = errors.New("the plugin is made for other hosts")

// Explain adds to an error of starting a child how the process has ended, which may be
// nil, and what it wrote last. cookie is the name of the host's.
func (w *Words) Explain(err, ended error, cookie string) error {
	if w.has(otherCookie) {
		return conn.Permanent(fmt.Errorf("%w: it does not know the magic cookie %s of this one", ErrOtherCookie, cookie))
	}
	words := w.String()
	if ended == nil {
		ended = errors.New("nobody knows how")
	}
	if exit, ok := errors.AsType[*exec.ExitError](ended); ok {
		ended = exit // which child it was is said already
	}
	switch {
	case errors.Is(err, plugin.ErrSaidNothing) && words != "":
		// What it wrote says more than what go-plugin can guess.
		err = fmt.Errorf("%w: %w", plugin.ErrSaidNothing, ended)
	case errors.Is(err, plugin.ErrSaidNothing):
		err = fmt.Errorf("it ended (%w) and wrote nothing: is it a plugin?\n%w", ended, err)
	}
	if words != "" {
		err = fmt.Errorf("%w; it wrote last: %s", err, words)
	}
	return err
}

// otherCookie begins what a plugin tells the person who it thinks has started
// it by hand (go-plugin's Serve): the cookie was not the one that it knows.
const otherCookie = "This binary is a plugin."

// Executable says why the file at path cannot be started; nil: it is an executable file.
func Executable(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("the file does not exist, or links to nothing: %w", os.ErrNotExist)
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("it is a directory, not an executable")
	case info.Mode().Perm()&0o111 == 0:
		return errors.New("the file is not executable: try chmod +x")
	}
	return nil
}
