// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
)

// Pool is all endpoints of one plugin. It stays valid for the life of the
// Fleet, whether or not there are any, unless it is released. Any goroutine may
// use it.
type Pool struct {
	name    string
	fleet   *Fleet
	snap    atomic.Pointer[snapshot]
	waiting atomic.Int64
	holders int // how often Fleet.Pool gave it out; guarded by Fleet.mu

	// Run's goroutine alone uses these.
	entries []*entry // ordered by ID
	past    sessionCounts
	dirty   bool
}

// Plugin is the plugin's name.
func (p *Pool) Plugin() string { return p.name }

// Release says that whoever got the pool from [Fleet.Pool] does not use it any
// more: once for each time. A pool without a holder is forgotten with its
// plugin, or at once if no source knows the plugin.
func (p *Pool) Release() {
	p.fleet.mu.Lock()
	p.holders--
	p.fleet.mu.Unlock()
	p.fleet.drop(p)
}

// Pick implements balancer.Router, for what Options.Dialect gives in the place of a
// protocol. Beyond what that says, it fails at once, with a [NotReadyError], if
// every endpoint has failed for good, if there is none because of a problem of
// discovery, if those that are ready speak another dialect and no other one is on its
// way (it then matches [ErrOtherDialect]), or if Run was told to end (it then matches
// [ErrShutdown]); with an [UnknownPluginError], if no
// source knows the plugin. While sources have yet to say what they know, it
// waits instead.
func (p *Pool) Pick(ctx context.Context, dialect string, tried []string) (balancer.Lease, error) {
	if l := p.snap.Load().pick(dialect, tried); l != nil {
		return l, nil
	}
	l, err := p.await(ctx, dialect, tried)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Renew has sessions of the plugin made anew: those of which stale reports true, now
// or, where one is being made, as soon as it is there. It returns at once; stale is
// called from other goroutines. See [conn.Conn.Renew].
func (p *Pool) Renew(stale func(conn.Info) bool) {
	p.fleet.inbox.put(notice{pool: p, stale: stale})
}

// renew passes it on. Only Run's goroutine calls it, which has begun all dials.
func (p *Pool) renew(stale func(conn.Info) bool) {
	for _, e := range p.entries {
		for _, u := range []*instance{e.serving, e.coming} {
			if u != nil {
				u.conn.Renew(stale)
			}
		}
	}
}

// Ready waits until an endpoint that speaks dialect is ready, with "" any, and gives
// what its session is. It fails as Pick does.
func (p *Pool) Ready(ctx context.Context, dialect string) (conn.Info, error) {
	l, err := p.await(ctx, dialect, nil)
	if err != nil {
		return conn.Info{}, err
	}
	defer l.Done(balancer.NotSent)
	return l.Info(), nil
}

// await picks from the newest snapshot, and from each that follows.
func (p *Pool) await(ctx context.Context, dialect string, tried []string) (*conn.Link, error) {
	p.waiting.Add(1)
	defer p.waiting.Add(-1)
	for {
		s := p.snap.Load()
		if l := s.pick(dialect, tried); l != nil {
			return l, nil
		}
		if err := p.futile(s, dialect); err != nil {
			return nil, err
		}
		select {
		case <-s.next:
		case <-ctx.Done():
			return nil, p.notReady(s, dialect, context.Cause(ctx))
		}
	}
}

// futile says why a pick does not wait for a snapshot after s, or gives nil if it does.
func (p *Pool) futile(s *snapshot, dialect string) error {
	switch {
	case s.closing:
		return p.notReady(s, dialect, ErrShutdown)
	case s.synced && !s.known && len(s.rows) == 0:
		return &UnknownPluginError{Plugin: p.name, Known: p.fleet.facts.Load().names()}
	case s.permanent && s.synced:
		return p.notReady(s, dialect, conn.ErrPermanent)
	case s.settled && s.synced && s.all.ready > 0 && s.tier(dialect) == nil && s.isCurrent():
		return p.notReady(s, dialect, ErrOtherDialect)
	}
	return nil
}

func (p *Pool) notReady(s *snapshot, dialect string, why error) error {
	causes, more := s.causes(dialect)
	if known := p.fleet.facts.Load().names(); !s.known && len(s.rows) == 0 && len(known) > 0 {
		causes = append(causes, knownAre(known)) // the name may be misspelt
	}
	return &NotReadyError{Plugin: p.name, Causes: causes, More: more, Err: why}
}

// snapshot makes one of what p has now. Only Run's goroutine calls it once p is known to
// others.
func (p *Pool) snapshot(f *facts, closing bool) *snapshot {
	known, required := f.lookup(p.name)
	s := &snapshot{
		next: make(chan struct{}), known: known, require: required, synced: f.synced, closing: closing,
		permanent: true, settled: true, dialectOf: p.fleet.opts.Dialect, since: time.Now(),
	}
	var ready []candidate
	for _, e := range p.entries {
		s.rows = append(s.rows, e.row())
		s.permanent = s.permanent && e.isPermanent()
		s.settled = s.settled && e.isSettled()
		if c, ok := e.candidate(); ok {
			ready = append(ready, c)
		}
	}
	if len(p.entries) == 0 {
		s.problem = f.problem(p.name)
		s.permanent = s.problem != ""
	}
	s.arrange(p.fleet.opts.Balancer, ready)
	return s
}

// publish replaces the snapshot, and says whether the plugin has a first ready endpoint
// now, or none any more. Only Run's goroutine calls it.
func (p *Pool) publish(f *facts, closing bool) []Event {
	s := p.snapshot(f, closing)
	old := p.snap.Load()
	found := s.known && !old.known
	if !found && (old.all.ready > 0) == (s.all.ready > 0) {
		s.since = old.since
	}
	p.snap.Store(s)
	close(old.next)
	p.dirty = false
	switch {
	case old.all.ready == 0 && s.all.ready > 0:
		return []Event{{Time: time.Now(), Type: PluginReady, Plugin: p.name, To: conn.Ready}}
	case old.all.ready > 0 && s.all.ready == 0:
		return []Event{{Time: time.Now(), Type: PluginUnready, Plugin: p.name, From: conn.Ready}}
	}
	return nil
}

// touch makes the next publication one of p as well.
func (p *Pool) touch() {
	if !p.dirty {
		p.dirty = true
		p.fleet.touched = append(p.fleet.touched, p)
	}
}

// find gives the place of an endpoint among the entries, and whether it is there.
func (p *Pool) find(id string) (int, bool) {
	return slices.BinarySearchFunc(p.entries, id, func(e *entry, id string) int { return strings.Compare(e.endpoint.ID, id) })
}
