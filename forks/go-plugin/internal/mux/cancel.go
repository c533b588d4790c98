// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"context"
	"errors"
)

// errCancelled is what a call is answered with that its host has given up.
var errCancelled = errors.New("the host has given the call up")

// CallContext implements ContextCodec.
func (w *worker) CallContext() (context.Context, context.CancelFunc) {
	p := w.plugin
	ctx, cancel := incoming(p.ctx, w.message.metadata), context.CancelFunc(nil)
	if w.message.timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, w.message.timeout)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	p.mu.Lock()
	w.cancel = cancel
	p.mu.Unlock()
	if w.cancelled.Load() {
		cancel()
	}
	return ctx, cancel
}

// enter lets a message of the host find the call at hand from now on. It is called before
// another worker reads: as long as none does, there is no such message.
func (w *worker) enter() {
	w.plugin.mu.Lock()
	defer w.plugin.mu.Unlock()
	w.enterLocked()
}

func (w *worker) enterLocked() {
	s := w.service
	if w.left || s == nil || w.message.kind == kindOpen {
		return
	}
	if s.underWay == nil {
		s.underWay = make(map[uint64]*worker)
	}
	s.underWay[w.message.number] = w
}

// leave undoes enter, also one that is still to come: the worker has its last call.
func (w *worker) leave() {
	w.plugin.mu.Lock()
	defer w.plugin.mu.Unlock()
	w.left = true
	if s := w.service; s != nil && s.underWay[w.message.number] == w {
		delete(s.underWay, w.message.number)
	}
}

// giveUp ends the context of a call, and leaves its answer out.
func (w *worker) giveUp() {
	w.cancelled.Store(true)
	w.plugin.mu.Lock()
	cancel := w.cancel
	w.plugin.mu.Unlock()
	if cancel != nil {
		cancel()
	}
}

// cancel gives up the call that a host has cancelled, if it is under way.
func (p *Plugin) cancel(channel, number uint64) {
	p.mu.Lock()
	var w *worker
	if s := p.services[channel]; s != nil {
		w = s.underWay[number]
	}
	p.mu.Unlock()
	if w != nil {
		w.giveUp()
	}
}

// release forgets a channel, and gives up what is under way there.
func (p *Plugin) release(channel uint64) {
	p.mu.Lock()
	var calls []*worker
	if s := p.services[channel]; s != nil {
		for _, w := range s.underWay {
			calls = append(calls, w)
		}
		delete(p.services, channel)
	}
	p.mu.Unlock()
	for _, w := range calls {
		w.giveUp()
	}
}
