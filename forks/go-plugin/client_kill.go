// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"cmp"
	"errors"
	"time"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/runner"
)

const (
	// gracePeriod is how long a child may take to end once it has answered that it
	// will.
	gracePeriod = 2 * time.Second
	// askWait bounds how long Kill waits for the connection over which the plugin is
	// asked, and for that connection's end. It is more than all that it is made of,
	// whose bounds do not hold where a logger of the host takes nothing.
	askWait = 20 * time.Second
)

// errNotAsked is why a plugin is killed that may not know that it is to end.
var errNotAsked = errors.New("the connection does not close")

// kill ends the plugin. One that was not started has nothing to end, and one in
// test mode ends itself: it has no runner here.
func (p *localPlugin) kill() {
	p.killing.Lock()
	defer p.killing.Unlock()
	settled := p.settle()
	r := p.process.Runner()
	switch {
	case r == nil || r.ID() == "":
		return
	case settled:
		p.end(r)
	default:
		p.process.Kill()
	}
	p.removeSocketDir()
}

// settle gives up a start that is under way, and reports whether it has ended. Code of
// the host may keep it.
func (p *localPlugin) settle() bool {
	p.state.Lock()
	abandon := p.abandon
	p.state.Unlock()
	if abandon != nil {
		abandon()
	}
	return child.ReturnsWithin(child.KillWait, func() {
		p.starting.Lock()
		defer p.starting.Unlock()
	})
}

// end asks the process to end, and kills it if it does not. What there is to log is
// logged last: a log that nobody reads must not keep the process alive.
func (p *localPlugin) end(r runner.AttachedRunner) {
	if p.exited() {
		if client := p.connected(); client != nil {
			child.ReturnsWithin(askWait, func() { _ = client.Close() })
		}
		p.process.Kill()
		return
	}
	err := p.askToEnd(askWait)
	if err == nil && child.ClosesWithin(cmp.Or(p.grace, gracePeriod), p.context().Done()) {
		p.process.AwaitOver()
		return
	}
	ended := p.exited()
	p.process.Kill()
	if ended {
		return
	}
	child.ReturnsWithin(stdio.FlushTimeout, func() {
		if err != nil {
			p.logger.Warn("error closing client during Kill", "error", err)
		}
		p.logger.Warn("plugin failed to exit gracefully", "id", r.ID())
	})
}

// askToEnd closes the protocol client, which asks the plugin to end. A plugin that
// was not connected to yet is, so that it can be asked; but no connection may take
// longer than an answer from now on, nor all of it longer than wait.
func (p *localPlugin) askToEnd(wait time.Duration) error {
	timer := time.AfterFunc(stdio.ShutdownTimeout, p.unused)
	defer timer.Stop()
	asked := make(chan error, 1)
	go func() {
		client, err := p.open()
		if err == nil {
			err = client.Close()
		}
		asked <- err
	}()
	late := time.NewTimer(wait)
	defer late.Stop()
	select {
	case err := <-asked:
		return err
	case <-late.C:
		return errNotAsked
	}
}
