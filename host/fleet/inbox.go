// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"sync"
	"time"

	"github.com/reattach/reattach/host/conn"
)

// notice is what happened to an instance, or what is asked of a pool.
type notice struct {
	instance      *instance
	at            time.Time
	before, after *conn.Status // nil if it is no change of status
	ended         bool         // its Run has returned
	late          bool         // it was to be ready by now

	pool  *Pool // its sessions shall be made anew if they are stale; nil for an instance
	stale func(conn.Info) bool
}

// matters reports whether picks must know: other changes readers of a View see
// without a new snapshot.
func (n notice) matters() bool {
	return n.after == nil || n.before.Link != n.after.Link ||
		n.before.Ejected != n.after.Ejected || n.before.Permanent != n.after.Permanent
}

// inbox takes notices from any goroutine and never makes it wait. Reading it
// takes all there are at once, however many.
type inbox struct {
	mu      sync.Mutex
	notices []notice
	signal  chan struct{}
}

func (i *inbox) put(n notice) {
	n.at = time.Now()
	if n.after != nil && n.after.State != n.before.State {
		n.at = n.after.Since // the same time in events and in the list of endpoints
	}
	i.mu.Lock()
	i.notices = append(i.notices, n)
	i.mu.Unlock()
	select {
	case i.signal <- struct{}{}:
	default: // the reader will see this one as well
	}
}

// take gives all notices.
func (i *inbox) take() []notice {
	i.mu.Lock()
	defer i.mu.Unlock()
	taken := i.notices
	i.notices = nil
	return taken
}
