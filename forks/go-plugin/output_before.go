// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// writtenOutput is what the plugin has written to its standard output and error,
// on its way to one host.
type writtenOutput interface {
	// Settled reports whether all that was written by now is on the connection, or
	// nobody takes it. It is asked before each answer.
	Settled() bool
	// Sync waits until that is so. When ctx ends first, it returns its cause.
	Sync(ctx context.Context) error
}

// outputBefore sends what the plugin has written before an answer ahead of that
// answer: the process may end right after it, and what is in its pipes then is lost.
type outputBefore struct {
	outputs atomic.Pointer[[]writtenOutput]
	// late is set when a host did not take its output in time. No further answer
	// waits for it then, until it has caught up.
	late atomic.Bool
}

// follow names what the host takes.
func (o *outputBefore) follow(outputs ...writtenOutput) { o.outputs.Store(&outputs) }

// settled reports whether an answer can leave at once. A nil o has no output.
func (o *outputBefore) settled() bool {
	if o == nil {
		return true
	}
	outputs := o.outputs.Load()
	if outputs == nil {
		return true
	}
	for _, output := range *outputs {
		if !output.Settled() {
			return o.late.Load()
		}
	}
	if o.late.Load() {
		o.late.Store(false)
	}
	return true
}

// settle waits until the answer can leave. It gives up with ctx, and after outputWait.
func (o *outputBefore) settle(ctx context.Context) {
	if o.settled() {
		return
	}
	waiting, cancel := context.WithTimeout(ctx, outputWait)
	defer cancel()
	for _, output := range *o.outputs.Load() {
		if output.Sync(waiting) != nil && ctx.Err() == nil {
			o.late.Store(true)
		}
	}
}

// owedOutput counts output that is on its way.
type owedOutput struct {
	mu         sync.Mutex
	due, given int // in all; due is more than given while something is on its way
	ended      bool
	changed    chan struct{} // closed when given has changed, or ended has; nil: nobody waits
}

func (o *owedOutput) owe(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.due += n
}

func (o *owedOutput) give(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.given += n
	o.notify()
}

// end says that no more is given.
func (o *owedOutput) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.notify()
}

func (o *owedOutput) hasEnded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended
}

func (o *owedOutput) notify() {
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

// Settled implements writtenOutput.
func (o *owedOutput) Settled() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ended || o.given >= o.due
}

// Sync implements writtenOutput.
func (o *owedOutput) Sync(ctx context.Context) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for due := o.due; !o.ended && o.given < due; {
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		o.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		o.mu.Lock()
		if ctx.Err() != nil {
			return fmt.Errorf("send the output: %w", context.Cause(ctx))
		}
	}
	return nil
}
