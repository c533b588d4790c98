// SPDX-License-Identifier: MPL-2.0

package stdio

import "context"

// Pipes are the pipes that have taken the place of a process's standard output
// and error.
type Pipes []*Pipe

var _ Syncer = Pipes(nil)

// Settled reports whether all that was written to the pipes by now was read and
// passed on. It is quick enough to be asked before each answer: where nothing was
// written it costs one system call. On Windows, which has none for it, it is
// always true.
func (p Pipes) Settled() bool {
	if p.holdAny() {
		return false
	}
	// What a pipe no longer holds is counted.
	for _, pipe := range p {
		if !pipe.inFlight.Settled() {
			return false
		}
	}
	return true
}

// Sync waits until all that this process has written to the pipes by now was read
// and passed on. When ctx ends first, its cause is returned.
func (p Pipes) Sync(ctx context.Context) error {
	for _, pipe := range p {
		if err := pipe.awaitRead(ctx); err != nil {
			return err
		}
		if err := pipe.inFlight.Sync(ctx); err != nil {
			return err
		}
	}
	return nil
}
