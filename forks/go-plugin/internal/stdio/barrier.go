// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"sync/atomic"
	"time"
)

// FlushTimeout bounds each wait for output that was written already: of an answer
// until the output before it has left, of the end of a session on either side, and of
// the end of the process until whoever reads its output has it.
const FlushTimeout = 2 * time.Second

// ShutdownTimeout is how long a child may take to answer that it ends. It sends its
// output first.
const ShutdownTimeout = 5 * time.Second

// Syncer is output on its way to one host. Both methods are called from any goroutine.
type Syncer interface {
	// Settled reports whether all that was written by now has arrived, or nobody takes
	// it. It is asked before each answer, and does not wait.
	Settled() bool
	// Sync waits until that is so. When ctx ends first, it returns its cause.
	Sync(ctx context.Context) error
}

// Barrier keeps the answers of one host behind the output that was written before
// them: the process may end right after an answer, and what is in its pipes then is
// lost. The zero value follows no output; neither does a nil Barrier. All methods may
// be called from any goroutine.
type Barrier struct {
	outputs atomic.Pointer[[]Syncer]
	// late is set when the host did not take its output in time. No further answer
	// waits for it then, until it has caught up.
	late atomic.Bool
}

// Follow names the output that answers stay behind from now on.
func (b *Barrier) Follow(outputs ...Syncer) { b.outputs.Store(&outputs) }

func (b *Barrier) followed() []Syncer {
	if b == nil {
		return nil
	}
	if outputs := b.outputs.Load(); outputs != nil {
		return *outputs
	}
	return nil
}

// Settled reports whether an answer can leave at once.
func (b *Barrier) Settled() bool {
	outputs := b.followed()
	for _, output := range outputs {
		if !output.Settled() {
			return b.late.Load()
		}
	}
	if outputs != nil && b.late.Load() {
		b.late.Store(false)
	}
	return true
}

// Wait waits until an answer can leave. It gives up with ctx, and after FlushTimeout.
func (b *Barrier) Wait(ctx context.Context) {
	if b.Settled() {
		return
	}
	waiting, cancel := context.WithTimeout(ctx, FlushTimeout)
	defer cancel()
	for _, output := range b.followed() {
		if output.Sync(waiting) != nil && ctx.Err() == nil {
			b.late.Store(true)
		}
	}
}
