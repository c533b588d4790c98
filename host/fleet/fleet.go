// SPDX-License-Identifier: MPL-2.0

// Package fleet keeps every plugin's endpoints attached: it follows what
// discovery says, runs a Conn for each endpoint, and publishes immutable
// snapshots from which calls are routed without a lock.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/target"
)

// Fleet is all plugins of a host. Its exported methods may be called from any
// goroutine, also before Run and after it.
type Fleet struct {
	opts       Options
	started    atomic.Bool
	ended      chan struct{} // closed when Run returns
	inbox      inbox
	hub        hub
	facts      atomic.Pointer[facts]
	generation atomic.Pointer[generation]

	// publishing is held while a generation comes to be, with the events that led to it: a
	// View shows the endpoints of one, and none of the next. It is taken before mu.
	publishing sync.RWMutex

	mu    sync.Mutex
	pools map[string]*Pool

	// Run's goroutine alone uses these.
	entries   map[place]*entry
	instances map[*instance]struct{} // whose Conn has not ended
	events    []Event                // to be sent once the pools are published
	touched   []*Pool                // to be published
	seen      []*instance            // whose status is to be shown
	changed   bool                   // something that a View shows
	set       uint64                 // generation of the newest one from discovery
	closing   bool
	conns     sync.WaitGroup
}

// place is where an entry stands.
type place struct{ plugin, id string }

// generation is the number of a View, and of the set that it shows, with what that says
// beside endpoints; next is closed when there is a newer one.
type generation struct {
	number uint64
	set    uint64
	facts  *facts
	next   chan struct{}
}

// New makes a Fleet. It starts nothing.
func New(opts Options) (*Fleet, error) {
	opts, err := opts.complete()
	if err != nil {
		return nil, fmt.Errorf("make fleet: %w", err)
	}
	f := &Fleet{
		opts: opts, ended: make(chan struct{}),
		inbox: inbox{signal: make(chan struct{}, 1)}, hub: hub{subs: make(map[*Subscription]struct{})},
		pools: make(map[string]*Pool), entries: make(map[place]*entry), instances: make(map[*instance]struct{}),
	}
	f.facts.Store(&facts{})
	f.generation.Store(&generation{number: 1, facts: f.facts.Load(), next: make(chan struct{})})
	return f, nil
}

// Pool gives the pool of a plugin, whether or not the plugin is known. It is
// the same for a name until it was released as often as it was given out, which need
// not be done for names that the program itself chooses.
func (f *Fleet) Pool(plugin string) *Pool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.poolLocked(plugin)
	p.holders++
	return p
}

func (f *Fleet) poolLocked(name string) *Pool {
	p := f.pools[name]
	if p == nil {
		p = &Pool{name: name, fleet: f, past: make(sessionCounts)}
		p.snap.Store(p.snapshot(f.facts.Load(), f.closing))
		f.pools[name] = p
	}
	return p
}

func (f *Fleet) allPools() []*Pool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.pools))
}

// Subscribe gives what happens from now on. buffer is how many events may wait
// for the reader; below one means one. The caller closes the subscription.
func (f *Fleet) Subscribe(buffer int) *Subscription { return f.hub.add(buffer) }

// Run follows sets, as a discovery.Manager offers them, until ctx ends; that
// the channel is closed does not matter. Then picks fail, calls in flight may
// finish, and sessions close: Run returns when all have, or with an error that
// names those which have not within Options.CloseTimeout. It can be called
// once.
func (f *Fleet) Run(ctx context.Context, sets <-chan *discovery.Set) error {
	if f.started.Swap(true) {
		return errors.New("run fleet: Run was called before")
	}
	defer close(f.ended)
	defer f.hub.close()
	for {
		select {
		case <-ctx.Done():
			return f.shutDown()
		case set, ok := <-sets:
			if !ok {
				sets = nil
				continue
			}
			f.apply(set)
		case <-f.inbox.signal:
			f.read()
		}
		f.publish()
	}
}

// apply follows a whole new set, which discovery has validated.
func (f *Fleet) apply(set *discovery.Set) {
	f.mu.Lock() // so that a pool that is being made has the old facts, and is seen below, or the new ones
	f.facts.Store(&facts{synced: set.Synced, plugins: set.Plugins, problems: set.Problems})
	for _, p := range set.Plugins {
		f.poolLocked(p.Name)
	}
	f.mu.Unlock()
	f.changed, f.set = true, set.Generation
	for _, p := range f.allPools() {
		if p.snap.Load().isOutdated(p.name, f.facts.Load()) {
			p.touch()
		}
	}
	seen := make(map[place]bool, len(set.Endpoints))
	for _, e := range set.Endpoints {
		at := place{e.Plugin, e.ID}
		seen[at] = true
		f.entryAt(at).set(e)
	}
	var absent []*entry
	for at, e := range f.entries {
		if !seen[at] && e.listed {
			absent = append(absent, e)
		}
	}
	slices.SortFunc(absent, func(a, b *entry) int { return target.CompareEndpoints(a.endpoint, b.endpoint) })
	for _, e := range absent {
		e.withdraw()
		f.tell(e, time.Now(), Event{Type: Withdrawn})
		f.tidy(e)
	}
}

func (f *Fleet) entryAt(at place) *entry {
	e := f.entries[at]
	if e == nil {
		f.mu.Lock()
		p := f.poolLocked(at.plugin)
		f.mu.Unlock()
		e = &entry{fleet: f, pool: p, endpoint: target.Endpoint{ID: at.id, Plugin: at.plugin}}
		f.entries[at] = e
		i, _ := p.find(at.id)
		p.entries = slices.Insert(p.entries, i, e)
	}
	if !e.listed {
		f.tell(e, time.Now(), Event{Type: Found})
	}
	return e
}

// tidy forgets an entry of which nothing is left. A notice may come after that, when another
// one has its place.
func (f *Fleet) tidy(e *entry) {
	at := place{e.pool.name, e.endpoint.ID}
	if !e.isEmpty() || f.entries[at] != e {
		return
	}
	delete(f.entries, at)
	if i, ok := e.pool.find(e.endpoint.ID); ok {
		e.pool.entries = slices.Delete(e.pool.entries, i, i+1)
	}
	e.pool.touch()
}

// read takes note of what the Conns have told.
func (f *Fleet) read() {
	for _, n := range f.inbox.take() {
		if n.pool != nil {
			n.pool.renew(n.stale)
			continue
		}
		e := n.instance.entry
		f.changed = true
		if n.ended {
			delete(f.instances, n.instance)
			e.pool.past.keep(n.instance.conn, n.at)
		}
		f.tell(e, n.at, e.notice(n)...)
		f.tidy(e)
	}
}

// tell keeps events until the pools are published.
func (f *Fleet) tell(e *entry, at time.Time, events ...Event) {
	for _, event := range events {
		event.Time, event.Plugin, event.Endpoint = at, e.pool.name, e.endpoint.ID
		f.events = append(f.events, event)
	}
}

// publish makes the pools' changes visible, then says what happened.
func (f *Fleet) publish() {
	f.publishing.Lock()
	defer f.publishing.Unlock()
	for _, i := range f.seen {
		i.shown.Store(i.seen)
	}
	f.seen = f.seen[:0]
	for _, p := range f.touched {
		f.changed = true
		f.events = append(f.events, p.publish(f.facts.Load(), f.closing)...)
		f.drop(p)
	}
	f.touched = nil
	if f.changed {
		f.changed = false
		old := f.generation.Load()
		f.generation.Store(&generation{number: old.number + 1, set: f.set, facts: f.facts.Load(), next: make(chan struct{})})
		close(old.next)
	}
	f.hub.send(f.events, f.generation.Load().number)
	f.events = nil
}

// drop forgets a pool that no source knows, that has no endpoint and no holder.
func (f *Fleet) drop(p *Pool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	// What is known may not have come to the snapshot yet.
	known, _ := f.facts.Load().lookup(p.name)
	if s := p.snap.Load(); !known && !s.known && len(s.rows) == 0 && p.holders == 0 && f.pools[p.name] == p {
		delete(f.pools, p.name)
	}
}
