// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"fmt"
	"sync"
)

// InFlight counts output that is on its way, in whatever unit its user counts. It
// arrives in the order in which it was added. The zero value is ready to use. All
// methods may be called from any goroutine.
type InFlight struct {
	mu             sync.Mutex
	added, arrived int // in all
	ended          bool
	changed        chan struct{} // closed when arrived or ended changes; nil: nobody waits
}

var _ Syncer = (*InFlight)(nil)

// Add says that so much more is on its way.
func (f *InFlight) Add(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.added += n
}

// Arrive says that so much has arrived.
func (f *InFlight) Arrive(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.arrived += n
	f.notify()
}

// End says that nothing more arrives, and that nobody need wait for it.
func (f *InFlight) End() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	f.notify()
}

func (f *InFlight) notify() {
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// HasEnded reports whether End was called.
func (f *InFlight) HasEnded() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

// Settled implements [Syncer].
func (f *InFlight) Settled() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended || f.arrived >= f.added
}

// Sync implements [Syncer]. It does not wait for what is added meanwhile.
func (f *InFlight) Sync(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for added := f.added; !f.ended && f.arrived < added; {
		if f.changed == nil {
			f.changed = make(chan struct{})
		}
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		f.mu.Lock()
		if ctx.Err() != nil {
			return fmt.Errorf("send the output: %w", context.Cause(ctx))
		}
	}
	return nil
}
