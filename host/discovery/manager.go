// SPDX-License-Identifier: MPL-2.0

package discovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/cenkalti/backoff/v5"
	"github.com/reattach/reattach/host/target"
)

// Options configures a Manager. Sources is all that must be set.
type Options struct {
	// Sources in order of precedence: when two name the same endpoint ID,
	// the earlier one is used and the conflict is reported.
	Sources []Source
	// Logger takes what the sources report. Nil discards it.
	Logger hclog.Logger
}

func (o *Options) validate() error {
	o.Logger = cmp.Or(o.Logger, hclog.NewNullLogger())
	seen := make(map[string]bool)
	for i, s := range o.Sources {
		switch name := s.Name(); {
		case name == "":
			return fmt.Errorf("source %d has no name", i)
		case seen[name]:
			return fmt.Errorf("two sources are named %q", name)
		default:
			seen[name] = true
		}
	}
	return nil
}

// Manager runs sources and merges what they find.
type Manager struct {
	opts    Options
	feeds   []*feed
	started atomic.Bool
	dirty   chan struct{}
	out     chan *Set
	current atomic.Pointer[Set]
	synced  chan struct{}
}

// NewManager makes a Manager. It starts nothing.
func NewManager(opts Options) (*Manager, error) {
	if err := opts.validate(); err != nil {
		return nil, fmt.Errorf("make discovery manager: %w", err)
	}
	m := &Manager{
		opts:   opts,
		dirty:  make(chan struct{}, 1),
		out:    make(chan *Set, 1),
		synced: make(chan struct{}),
	}
	for _, s := range opts.Sources {
		m.feeds = append(m.feeds, newFeed(s, opts.Logger, m.markDirty))
	}
	m.current.Store(&Set{})
	return m, nil
}

// Run runs all sources until ctx ends and returns when all of them have
// ended. It closes the channel of Sets. It can be called once.
func (m *Manager) Run(ctx context.Context) error {
	if m.started.Swap(true) {
		return errors.New("run discovery: Run was called before")
	}
	defer close(m.out)
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, f := range m.feeds {
		wg.Go(func() { m.supervise(ctx, f) })
	}
	m.markDirty() // without a source, the empty set is the whole truth
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.dirty:
			m.publish()
		}
	}
}

// The pause before a source that failed is run again doubles from the one to the other.
const (
	minPause = 250 * time.Millisecond
	maxPause = 30 * time.Second
)

// supervise runs one source again and again until ctx ends.
func (m *Manager) supervise(ctx context.Context, f *feed) {
	// Spread by a fifth: sources that failed together do not return together.
	pauses := backoff.ExponentialBackOff{
		InitialInterval: minPause, MaxInterval: maxPause, Multiplier: 2, RandomizationFactor: 0.2,
	}
	for {
		delivered, err := f.runOnce(ctx)
		if err == nil {
			return
		}
		f.fail(err)
		if delivered {
			pauses.Reset()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pauses.NextBackOff()):
		}
		f.mu.Lock()
		f.status.Restarts++
		f.mu.Unlock()
	}
}

func (m *Manager) markDirty() {
	select {
	case m.dirty <- struct{}{}:
	default: // a merge is due already and will see this change as well
	}
}

// publish merges and, if anything changed, replaces what the reader has not
// taken yet. Only Run's goroutine calls it.
func (m *Manager) publish() {
	all := make([]sourceGroups, 0, len(m.feeds))
	synced := true
	for _, f := range m.feeds {
		groups, status := f.snapshot()
		all = append(all, groups)
		synced = synced && status.Synced
	}
	set := merge(all)
	set.Synced = synced
	last := m.current.Load()
	if last.Generation > 0 && last.same(set) {
		return
	}
	set.Generation = last.Generation + 1
	m.current.Store(set)
	m.logProblems(last.Problems, set.Problems)
	select {
	case <-m.out:
	default:
	}
	m.out <- set // has room: nobody else sends
	if synced && !last.Synced {
		close(m.synced)
	}
}

// mostProblems is how many new problems one change of the set logs, and how many that are
// over: others are counted.
const mostProblems = 20

// logProblems says of each problem once that it is there, and that it is over.
func (m *Manager) logProblems(before, now []target.Problem) {
	known, left := make(map[target.Problem]bool, len(before)), make(map[string]bool, len(now))
	for _, p := range before {
		known[p] = true
	}
	for _, p := range now {
		left[p.Subject] = true
	}
	found := slices.DeleteFunc(slices.Clone(now), func(p target.Problem) bool { return known[p] })
	for _, p := range found[:min(len(found), mostProblems)] {
		m.opts.Logger.Warn("discovery found what it cannot offer as it stands", "subject", p.Subject, "reason", p.Reason, "plugin", p.Plugin, "source", p.Source)
	}
	if more := len(found) - mostProblems; more > 0 {
		m.opts.Logger.Warn("discovery found more that it cannot offer", "count", more)
	}
	over := slices.DeleteFunc(slices.Clone(before), func(p target.Problem) bool { return left[p.Subject] })
	for _, p := range over[:min(len(over), mostProblems)] {
		m.opts.Logger.Info("what discovery could not offer is mended, or removed", "subject", p.Subject, "source", p.Source)
	}
	if more := len(over) - mostProblems; more > 0 {
		m.opts.Logger.Info("more of what discovery could not offer is mended, or removed", "count", more)
	}
}

// Sets offers the newest set to one reader. A reader that is slow skips sets;
// it never holds up a source. The channel is closed when Run returns.
func (m *Manager) Sets() <-chan *Set { return m.out }

// Current gives the newest set without taking it from the reader of Sets. It
// is empty before Run. Any goroutine may call it.
func (m *Manager) Current() *Set { return m.current.Load() }

// Status gives how each source fares, in the order of Options.Sources. Any
// goroutine may call it.
func (m *Manager) Status() []Status {
	all := make([]Status, 0, len(m.feeds))
	for _, f := range m.feeds {
		_, status := f.snapshot()
		all = append(all, status)
	}
	return all
}

// Refresh asks every source that is a Refresher to look again. It returns at once.
func (m *Manager) Refresh() {
	for _, f := range m.feeds {
		if r, ok := f.source.(Refresher); ok {
			r.Refresh()
		}
	}
}

// Unsynced says, for people, which sources have not told anything, and why.
func (m *Manager) Unsynced() []string {
	var missing []string
	for _, s := range m.Status() {
		if s.Synced {
			continue
		}
		why := "it has not delivered anything yet"
		if s.LastError != nil {
			why = s.LastError.Error()
		}
		missing = append(missing, fmt.Sprintf("source %s: %s", s.Source, why))
	}
	return missing
}

// WaitSynced waits until Current holds the first full state of every source.
// If ctx ends first, the error wraps its cause and names the sources that are
// missing and what they last reported.
func (m *Manager) WaitSynced(ctx context.Context) error {
	select {
	case <-m.synced:
		return nil
	case <-ctx.Done():
	}
	var missing []string
	for _, s := range m.Status() {
		switch {
		case s.Synced:
		case s.LastError != nil:
			missing = append(missing, fmt.Sprintf("%s (%v)", s.Source, s.LastError))
		default:
			missing = append(missing, s.Source)
		}
	}
	return fmt.Errorf("wait for the first state of %s: %w", strings.Join(missing, ", "), context.Cause(ctx))
}
