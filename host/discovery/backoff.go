// SPDX-License-Identifier: MPL-2.0

package discovery

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff is the pause between two runs of a source that fails: doubled each
// time up to a cap, and spread by a fifth either way, so that sources that
// failed together do not return together.
type backoff struct {
	first, last time.Duration
	next        time.Duration
}

// pause gives the next pause.
func (b *backoff) pause() time.Duration {
	d := max(b.next, b.first)
	b.next = min(2*d, b.last)
	return time.Duration(float64(d) * (0.8 + 0.4*rand.Float64()))
}

// reset makes the next pause the first one again.
func (b *backoff) reset() { b.next = 0 }

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
