// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"fmt"
)

// Pipes are the pipes that have taken the place of a process's standard output
// and error.
type Pipes []*Pipe

// Settled reports whether all that was written to the pipes by now was read and
// passed on. It is quick enough to be asked before each answer: where nothing was
// written it costs one system call. On Windows, which has none for it, it is
// always true.
func (p Pipes) Settled() bool {
	if holdsAny(p) {
		return false
	}
	// What a pipe no longer holds was read; whoever has read it says so first.
	for _, pipe := range p {
		if pipe.taking.Load() {
			return false
		}
	}
	return true
}

// Sync waits until all that this process has written to the pipes by now was read
// and passed on. When ctx ends first, its cause is returned.
func (p Pipes) Sync(ctx context.Context) error {
	asked := make([]<-chan struct{}, len(p))
	for i, pipe := range p {
		asked[i] = pipe.ask(false)
	}
	for _, done := range asked {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("read what was written: %w", context.Cause(ctx))
		}
	}
	return nil
}
