// SPDX-License-Identifier: MPL-2.0

package wait

import (
	"context"
	"sync"
)

// Condition is a [sync.Cond] whose waiters can give up. The zero value is ready to use.
// Its users share one lock, which guards what they wait for.
type Condition struct {
	changed chan struct{} // closed by Broadcast; nil: no goroutine waits
}

// Broadcast wakes all that wait. The caller holds the lock.
func (c *Condition) Broadcast() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// Until waits until isSo, which is called with the lock, or until stop is closed, which
// may be nil. When ctx ends first, it returns its cause. The caller holds the lock,
// also when Until has returned.
func (c *Condition) Until(ctx context.Context, lock sync.Locker, stop <-chan struct{}, isSo func() bool) (err error) {
	for !isSo() {
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		lock.Unlock()
		stopped := false
		select {
		case <-changed:
		case <-stop:
			stopped = true
		case <-ctx.Done():
			stopped, err = true, context.Cause(ctx)
		}
		lock.Lock()
		if stopped {
			return err
		}
	}
	return nil
}
