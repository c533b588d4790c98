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
	changed        chan struct{} // closed when one of them changes; nil: nobody waits
}

var _ Syncer = (*InFlight)(nil)

// Add says that so much more is on its way.
func (f *InFlight) Add(n int) { f.addBy(func() int { return n }) }

// addBy adds what take returns, which nobody can look for meanwhile.
func (f *InFlight) addBy(take func() int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.added += take()
	f.notify()
}

// observe returns how much was added, and what is closed when something changes.
func (f *InFlight) observe() (added int, changed <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.added, f.change()
}

// change is called with the lock.
func (f *InFlight) change() <-chan struct{} {
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.changed
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
		changed := f.change()
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
