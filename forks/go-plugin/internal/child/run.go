// SPDX-License-Identifier: MPL-2.0

package child

import (
	"bufio"
	"context"
	"errors"
	"io"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/runner"
)

var (
	// ErrExited is why a plugin that has ended early cannot be talked to.
	ErrExited = errors.New("plugin exited before we could connect")
	// ErrKilled is why a start failed that was given up.
	ErrKilled = errors.New("plugin was killed while it started")
)

// Run takes over a plugin that was started, and returns its line. It reads the
// plugin's output from then on and waits for its end; after an error the caller kills
// it. The error is [ErrKilled] if ctx was cancelled. With readFirst, the output is read
// to its end before the runner's Wait is called, because that may close it.
func (p *Process) Run(ctx context.Context, r runner.Runner, readFirst bool) (Line, error) {
	p.setRunner(r)
	lines := make(chan string, 1)
	logger := p.config.Logger.Named(filepath.Base(r.Name()))
	stdout, stderr := r.Stdout(), r.Stderr()
	outputs := []output{
		{stdout, stdio.StartPump(func() { firstLine(stdout, lines) })},
		{stderr, stdio.StartPump(func() { ForwardLog(logger, stderr, p.config.Stderr, p.config.MaxLine) })},
	}
	go func() {
		if readFirst {
			awaitAll(p.reading, outputs)
		}
		p.awaitEnd(r, r.Name(), outputs)
	}()
	p.config.Logger.Debug("waiting for RPC address", "plugin", r.Name())
	return p.awaitLine(ctx, r, lines)
}

// firstLine gives the first line, if there is one that a handshake could be, and
// closes lines at once: nothing waits for the end of an endless line. The rest is
// dropped, so that a child never blocks on it.
func firstLine(stdout io.Reader, lines chan<- string) {
	scanner := bufio.NewScanner(stdout)
	if scanner.Scan() {
		lines <- scanner.Text()
	}
	close(lines)
	_, _ = io.Copy(io.Discard, stdout)
}

// lastLineWait is how long the first line of a child that has ended may take to be
// read: something that it left behind may hold its stdout open.
const lastLineWait = time.Second

// errSlowStart is a child that does not say in time that it serves, in the words that hosts
// of the original library know.
var errSlowStart = errors.New("timeout while waiting for plugin to start")

func (p *Process) awaitLine(ctx context.Context, r runner.Runner, lines <-chan string) (Line, error) {
	ended, late := p.ctx.Done(), (<-chan time.Time)(nil)
	for {
		select {
		case text, ok := <-lines:
			if !ok {
				return Line{}, unrecognized("", "Failed to read any lines from plugin's stdout", r)
			}
			line, err := ParseLine(text)
			if errors.Is(err, errShortLine) {
				err = unrecognized(text, "", r)
			}
			return line, err
		case <-ended:
			// What it wrote before is still being read, and says more.
			timer := time.NewTimer(lastLineWait)
			defer timer.Stop()
			ended, late = nil, timer.C
		case <-late:
			return Line{}, ErrExited
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return Line{}, ErrKilled
			}
			return Line{}, errSlowStart
		}
	}
}

// output is one of a child's output streams.
type output struct {
	pipe io.Closer
	pump *stdio.Pump // passes it on
}

// awaitAll waits until all outputs were passed on, or ctx ends.
func awaitAll(ctx context.Context, outputs []output) {
	for _, output := range outputs {
		_ = output.pump.Wait(ctx)
	}
}

// awaitEnd ends the context of the plugin when it has ended. Its last output is passed
// on first, unless that takes more than stdio.FlushTimeout.
func (p *Process) awaitEnd(r runner.AttachedRunner, name string, outputs []output) {
	defer close(p.over)
	err := r.Wait(context.Background())
	grace, cancel := context.WithTimeout(context.Background(), pipeGrace)
	defer cancel()
	awaitAll(grace, outputs)
	for _, output := range outputs {
		_ = output.pipe.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
	defer cancel()
	awaitAll(ctx, outputs) // A line that was read last may still be on its way.
	p.config.LastOutput(ctx)
	p.clear()
	if err == nil {
		p.ended(peererr.Lost(errors.New("the plugin's process has exited")))
		p.config.Logger.Info("plugin process exited", "plugin", name, "id", r.ID())
	} else {
		p.ended(peererr.Lost(err))
		p.config.Logger.Error("plugin process exited", "plugin", name, "id", r.ID(), "error", err)
	}
}

// ClosesWithin reports whether done is closed before d has passed.
func ClosesWithin(d time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// ReturnsWithin reports whether f, which is code of the host's, returns before d has
// passed. It is not waited for any longer.
func ReturnsWithin(d time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return ClosesWithin(d, done)
}
