// SPDX-License-Identifier: MPL-2.0

// Package child is what a host and its child process have to do with each other apart
// from the connection: the environment that the child is given, the line that it
// answers with, one-time certificates for both, and the supervision of the process:
// its log, its sockets and its end.
package child

import (
	"context"
	"io"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/runner"
)

const (
	// KillWait bounds how long Kill waits for a process that was killed, and for code
	// of the host: a runner, and the writers that take the plugin's output.
	KillWait = 5 * time.Second
	// pipeGrace is how long a process that has ended may hold up the end of its stdout
	// and stderr: something that it left behind may have them open.
	pipeGrace = time.Second
	// maxBrokered bounds how many sockets of one child are remembered.
	maxBrokered = 1024
)

// Config is what a Process needs of its client.
type Config struct {
	Logger  hclog.Logger
	Stderr  io.Writer // gets the child's stderr as it is
	MaxLine int       // bytes of the child's log that are one line

	// LastOutput passes on what the connection to the plugin still holds, or returns
	// when ctx ends. It is called once, when the plugin has ended.
	LastOutput func(ctx context.Context)
}

// Process supervises one plugin of this machine: a child, or whatever a Runner stands
// for. It is made before the plugin runs. All methods may be called from any goroutine.
type Process struct {
	config Config

	ctx   context.Context // ends when the plugin has, its cause says how
	ended context.CancelCauseFunc
	over  chan struct{} // closed when all was done about that end

	// reading ends when nothing waits any more for what a Runner's plugin wrote last.
	reading     context.Context
	stopReading context.CancelFunc

	mu       sync.Mutex // guards these
	runner   runner.AttachedRunner
	socket   *Socket
	brokered map[string]struct{} // paths of sockets
	cleared  bool                // what the plugin leaves behind was removed
}

// NewProcess returns the supervision of a plugin that does not run yet.
func NewProcess(config Config) *Process {
	p := &Process{config: config, over: make(chan struct{}), brokered: make(map[string]struct{})}
	p.ctx, p.ended = context.WithCancelCause(context.Background())
	p.reading, p.stopReading = context.WithCancel(context.Background())
	return p
}

// Context ends when the plugin has ended and its last output was read. The cause says
// how: it matches the error of a connection that was lost, and wraps an *exec.ExitError
// if the process did not exit with 0.
func (p *Process) Context() context.Context { return p.ctx }

// Runner is what runs the plugin. It is nil before and after that.
func (p *Process) Runner() runner.AttachedRunner {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.runner
}

func (p *Process) setRunner(r runner.AttachedRunner) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.runner = r
}

// Attach waits for the end of a plugin that runs. If socket is not nil, the plugin is
// this host's now: Kill ends it, and the socket is removed behind it.
func (p *Process) Attach(r runner.AttachedRunner, socket *Socket) {
	if socket != nil {
		p.setRunner(r)
		p.OwnSocket(socket)
	}
	go p.awaitEnd(r, "reattached plugin", nil)
}

// OwnSocket notes where the plugin listens, to clear up behind it.
func (p *Process) OwnSocket(socket *Socket) {
	p.mu.Lock()
	p.socket = socket
	cleared := p.cleared
	p.mu.Unlock()
	if cleared {
		socket.close()
	}
}

// NoteBrokered remembers a socket on which the plugin accepts brokered connections, to
// remove it behind one that was killed. When there are many, those are forgotten that
// the plugin has removed by now.
func (p *Process) NoteBrokered(network, path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if network != "unix" || p.cleared {
		return
	}
	if len(p.brokered) >= maxBrokered {
		maps.DeleteFunc(p.brokered, func(path string, _ struct{}) bool {
			_, err := os.Lstat(path)
			return err != nil
		})
	}
	if len(p.brokered) < maxBrokered {
		p.brokered[path] = struct{}{}
	}
}

// clear removes what a plugin that has ended leaves behind.
func (p *Process) clear() {
	p.mu.Lock()
	p.cleared = true
	socket, brokered := p.socket, p.brokered
	p.mu.Unlock()
	if socket != nil {
		socket.close()
	}
	for path := range brokered {
		removeDeadSocket(path)
	}
}

// Kill kills the plugin and waits until nothing of it is left. It gives up on a
// process that the system does not end, and on code of the host that does not return.
func (p *Process) Kill() {
	r := p.Runner()
	if r == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), KillWait)
	defer cancel()
	ReturnsWithin(KillWait, func() {
		if err := r.Kill(ctx); err != nil {
			p.config.Logger.Debug("error killing plugin", "id", r.ID(), "error", err)
		}
	})
	p.AwaitOver()
}

// AwaitOver waits until the plugin's end was noticed and all was done about it, within
// the bounds of Kill, and lets go of its runner.
func (p *Process) AwaitOver() {
	if !ClosesWithin(stdio.FlushTimeout, p.over) {
		p.stopReading()
		ClosesWithin(KillWait, p.over)
	}
	p.setRunner(nil)
}
