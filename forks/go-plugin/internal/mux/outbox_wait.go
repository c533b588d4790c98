// SPDX-License-Identifier: MPL-2.0

package mux

import "context"

// position returns how much the connection was given.
func (o *outbox) position() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.taken
}

// isFull reports whether the connection is slower than its writers, which should
// wait if they can.
func (o *outbox) isFull() bool {
	if !o.isSlow.Load() {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fullLocked()
}

func (o *outbox) fullLocked() bool { return o.waiting.size >= maxUnwritten }

// hasUnsent reports whether there is a pending answer that the connection has not
// taken.
func (o *outbox) hasUnsent() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err == nil && (o.unsent > 0 || o.written < o.pending)
}

// longAnswers is how many long answers are on their way.
func (o *outbox) longAnswers() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.unsent
}

// addUnsent counts a long answer, before its first frame is put.
func (o *outbox) addUnsent() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unsent++
}

// dropUnsent counts one no more that was given up.
func (o *outbox) dropUnsent() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unsent--
	o.changed.Broadcast()
}

// awaitSent waits until the connection has taken the answers that are pending now, or
// all that was put by now.
func (o *outbox) awaitSent(ctx context.Context, all bool) error {
	o.flush()
	o.mu.Lock()
	end := o.pending
	if all {
		end = o.endLocked()
	}
	o.mu.Unlock()
	return o.awaitThat(ctx, nil, func() bool { return o.unsent == 0 && o.written >= end })
}

// endLocked is where all that was put ends.
func (o *outbox) endLocked() uint64 { return o.taken + uint64(o.waiting.size) }

// awaitRoom waits until the outbox is not full, or for the end of ctx or of the
// connection, or until stop is closed, which may be nil.
func (o *outbox) awaitRoom(ctx context.Context, stop <-chan struct{}) error {
	return o.awaitThat(ctx, stop, func() bool { return !o.fullLocked() })
}

// awaitThat waits until isSo, which is called with the lock.
func (o *outbox) awaitThat(ctx context.Context, stop <-chan struct{}, isSo func() bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.changed.Until(ctx, &o.mu, stop, func() bool { return o.err != nil || isSo() }); err != nil {
		return err
	}
	return o.err
}
