// SPDX-License-Identifier: MPL-2.0

package stdio

import (
	"context"
	"fmt"
	"sync"

	"github.com/hashicorp/go-plugin/internal/wait"
)

// InFlight counts output that is on its way, in whatever unit its user counts. It
// arrives in the order in which it was added. The zero value is ready to use. All
// methods may be called from any goroutine.
type InFlight struct {
	mu             sync.Mutex
	added, arrived int // in all
	ended          bool
	changed        wait.Condition // one of them
}

var _ Syncer = (*InFlight)(nil)

// change does what changes a field.
func (f *InFlight) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	f.changed.Broadcast()
}

// Add says that so much more is on its way.
func (f *InFlight) Add(n int) { f.change(func() { f.added += n }) }

// Arrive says that so much has arrived.
func (f *InFlight) Arrive(n int) { f.change(func() { f.arrived += n }) }

// End says that nothing more arrives, and that nobody need wait for it.
func (f *InFlight) End() { f.change(func() { f.ended = true }) }

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
	return f.await(ctx, "send the output", func(until int) bool { return f.ended || f.arrived >= until })
}

// await waits until isSo, which is called with the lock and how much had been added when
// await began. doing says for an error what took too long.
func (f *InFlight) await(ctx context.Context, doing string, isSo func(began int) bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	began := f.added
	if err := f.changed.Until(ctx, &f.mu, nil, func() bool { return isSo(began) }); err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return nil
}
