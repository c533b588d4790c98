// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"time"

	"github.com/hashicorp/go-plugin/runner"

	"github.com/hashicorp/go-plugin/internal/stdio"
)

// endWait bounds how long Kill waits for a process that was killed, and for the
// host's own code: a runner, and the writers that take the plugin's output.
const endWait = 5 * time.Second

// watch is how Kill and the goroutine that waits for the plugin's end agree.
type watch struct {
	over   chan struct{}   // closed when that goroutine has ended
	unread context.Context // ends when what a Runner's plugin has written last need not be read
	forget context.CancelFunc
}

func newWatch() watch {
	w := watch{over: make(chan struct{})}
	w.unread, w.forget = context.WithCancel(context.Background())
	return w
}

// within reports whether the watch is over before d has passed.
func (w *watch) within(d time.Duration) bool { return closesWithin(d, w.over) }

func closesWithin(d time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// returnsWithin reports whether f, which is code of the host's, returns before d has
// passed. It is not waited for any longer.
func returnsWithin(d time.Duration, f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	return closesWithin(d, done)
}

// awaitEnd marks the plugin as gone when it is. Its last output is passed on first,
// unless that takes more than stdio.FlushTimeout.
func (p *localPlugin) awaitEnd(r runner.AttachedRunner, name string, outputs []*stdio.Pump) {
	defer close(p.watch.over)
	err := r.Wait(context.Background())
	ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
	defer cancel()
	for _, output := range outputs {
		_ = output.Wait(ctx) // for its last line
	}
	if client, _ := p.connected(); client != nil {
		client.awaitOutput(ctx)
	}
	p.closeSocket()
	p.gone(processEnded(err))
	if err != nil {
		p.logger.Error("plugin process exited", "plugin", name, "id", r.ID(), "error", err)
	} else {
		p.logger.Info("plugin process exited", "plugin", name, "id", r.ID())
	}
}

// killRunner kills the plugin and waits until nothing of it is left. It gives up on
// a process that the system does not end, and on code of the host that does not
// return.
func (p *localPlugin) killRunner(r runner.AttachedRunner) {
	ctx, cancel := context.WithTimeout(context.Background(), endWait)
	defer cancel()
	returnsWithin(endWait, func() {
		if err := r.Kill(ctx); err != nil {
			p.logger.Debug("error killing plugin", "id", r.ID(), "error", err)
		}
	})
	p.awaitOver()
}

// awaitOver waits until the plugin's end was noticed and all was done about it.
func (p *localPlugin) awaitOver() {
	if !p.watch.within(stdio.FlushTimeout) {
		p.watch.forget()
		p.watch.within(endWait)
	}
}
