// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// gracePeriod is how long a child may take to end once it has answered that it
// will.
const gracePeriod = 2 * time.Second

// errKilled is what Start returns when Kill came before the plugin was there.
var errKilled = errors.New("plugin was killed while it started")

// kill ends the plugin. One that was not started has nothing to end, and one in
// test mode ends itself: it has no runner here.
func (p *localPlugin) kill() {
	p.killing.Lock()
	defer p.killing.Unlock()
	p.settle()
	r := p.currentRunner()
	if r == nil || r.ID() == "" {
		return
	}
	p.end(r)
	p.workers.Wait()
	p.setRunner(nil)
	p.removeSocketDir()
}

// setAbandon says how to give up the start that is under way.
func (p *localPlugin) setAbandon(abandon context.CancelFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.abandon = abandon
}

// settle gives up a start that is under way, and waits until it has ended.
func (p *localPlugin) settle() {
	p.mu.Lock()
	abandon := p.abandon
	p.mu.Unlock()
	if abandon != nil {
		abandon()
	}
	p.starting.Lock()
	defer p.starting.Unlock()
}

// end asks the process to end, and kills it if it does not.
func (p *localPlugin) end(r runner.AttachedRunner) {
	if p.ctx.Err() != nil {
		p.closeClient()
	}
	if p.ctx.Err() == nil && p.askToEnd() {
		grace := time.NewTimer(gracePeriod)
		defer grace.Stop()
		select {
		case <-p.ctx.Done():
			p.closeMux()
			return
		case <-grace.C:
		}
	}
	if p.ctx.Err() == nil {
		p.logger.Warn("plugin failed to exit gracefully", "id", r.ID())
	}
	if err := r.Kill(context.Background()); err != nil {
		p.logger.Debug("error killing plugin", "id", r.ID(), "error", err)
	}
	p.closeMux()
}

// askToEnd closes the protocol client, which asks the plugin to end.
func (p *localPlugin) askToEnd() bool {
	client, err := p.open()
	if err == nil {
		err = client.Close()
	}
	if err != nil && p.ctx.Err() == nil {
		p.logger.Warn("error closing client during Kill", "error", err)
	}
	return err == nil
}

// closeClient lets go of the connection to a plugin that has ended by itself.
func (p *localPlugin) closeClient() {
	p.opening.Lock()
	defer p.opening.Unlock()
	if p.client != nil {
		_ = p.client.Close()
	}
}

func (p *localPlugin) closeMux() {
	p.opening.Lock()
	defer p.opening.Unlock()
	if p.mux != nil {
		_ = p.mux.Close()
	}
}

func (p *localPlugin) removeSocketDir() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if dir := p.socket.socketDir; dir != "" {
		_ = os.RemoveAll(dir)
		p.socket.socketDir = ""
	}
}
