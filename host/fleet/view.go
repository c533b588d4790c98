// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// View is all plugins at one time. It belongs to the caller.
type View struct {
	// Generation grows with every change of a plugin or of an endpoint's state.
	// Counts such as InFlight change without it.
	Generation uint64
	// Set is the generation of the newest set of discovery that it shows.
	Set uint64
	// Synced is set once every source has said what it knows.
	Synced bool
	// Plugins are ordered by name.
	Plugins []PluginStatus
	// Problems are what discovery found and cannot offer.
	Problems []target.Problem
}

// PluginStatus is one plugin.
type PluginStatus struct {
	Name string
	// Required makes the host unready while Ready is zero.
	Required bool
	// Known is set while a source knows the plugin.
	Known bool
	// Ready counts the ready endpoints.
	Ready int
	// Since is when Ready last came to be zero, or not to be, or the plugin was found.
	Since time.Time
	// Waiting counts the calls that wait for a ready endpoint.
	Waiting int
	// Endpoints are ordered by ID.
	Endpoints []EndpointStatus
}

// EndpointStatus is one endpoint.
type EndpointStatus struct {
	Endpoint target.Endpoint
	State    conn.State
	Since    time.Time
	// UnreadySince is since when State has not been Ready; zero while it is.
	UnreadySince time.Time
	// InFlight counts calls, those on instances that leave included.
	InFlight int
	// Ejected is set while calls go to other endpoints, as this one was slow.
	Ejected bool
	// LastError and LastErrorTime are kept when all is well again.
	LastError     string
	LastErrorTime time.Time
	// Permanent is set if LastError keeps it away for good.
	Permanent   bool
	Departure   conn.Departure
	Failures    int
	Restarts    int
	NextAttempt time.Time
	// Warning is what the contract check has against it.
	Warning string
	Info    conn.Info
	// Replacement is the new instance that shall take its place, if any.
	Replacement *Replacement
}

// Replacement is a new instance that is not ready yet.
type Replacement struct {
	Fingerprint string
	State       conn.State
	LastError   string
	// Late is set once it has failed for good, or taken too long.
	Late bool
}

// View gives the present state of all plugins. Any goroutine may call it.
func (f *Fleet) View() View {
	f.publishing.RLock()
	defer f.publishing.RUnlock()
	return f.view()
}

// Look gives the present state of all plugins, and what is kept of the events that led to it:
// those of its generation and before, the oldest first.
func (f *Fleet) Look() (View, []Past) {
	f.publishing.RLock()
	defer f.publishing.RUnlock()
	return f.view(), f.hub.past()
}

func (f *Fleet) view() View {
	g := f.generation.Load()
	v := View{Generation: g.number, Set: g.set, Synced: g.facts.synced, Problems: slices.Clone(g.facts.problems)}
	for _, p := range f.allPools() {
		if s := p.snap.Load(); s.known || len(s.rows) > 0 {
			v.Plugins = append(v.Plugins, p.status(s))
		}
	}
	slices.SortFunc(v.Plugins, func(a, b PluginStatus) int { return strings.Compare(a.Name, b.Name) })
	return v
}

// Wait waits for a view that is newer than generation after and gives the
// newest; a slow reader skips some. Begin with zero. It fails when ctx ends
// and, with [ErrShutdown], when Run has returned.
func (f *Fleet) Wait(ctx context.Context, after uint64) (View, error) {
	for {
		g := f.generation.Load()
		if g.number > after {
			return f.View(), nil
		}
		select {
		case <-g.next:
		case <-ctx.Done():
			return View{}, context.Cause(ctx)
		case <-f.ended:
			return View{}, ErrShutdown
		}
	}
}

// Plugin gives the present state of one plugin, and whether a source knows it
// or an endpoint of it is left.
func (f *Fleet) Plugin(name string) (PluginStatus, bool) {
	f.mu.Lock()
	p := f.pools[name]
	f.mu.Unlock()
	if p == nil {
		return PluginStatus{}, false
	}
	s := p.snap.Load()
	return p.status(s), s.known || len(s.rows) > 0
}

// Knows reports whether a source knows a plugin, or an endpoint of it is left. A View that
// was taken before may say something else.
func (f *Fleet) Knows(name string) bool {
	if known, _ := f.facts.Load().lookup(name); known {
		return true
	}
	f.mu.Lock()
	p := f.pools[name]
	f.mu.Unlock()
	if p == nil {
		return false
	}
	s := p.snap.Load()
	return s.known || len(s.rows) > 0
}

// Declared gives what sources say of a plugin apart from its endpoints; the zero value if
// none knows it.
func (f *Fleet) Declared(name string) target.Plugin { return f.facts.Load().declared(name) }

func (p *Pool) status(s *snapshot) PluginStatus {
	out := PluginStatus{
		Name: p.name, Required: s.require, Known: s.known, Since: s.since, Waiting: int(p.waiting.Load()),
		Endpoints: make([]EndpointStatus, 0, len(s.rows)),
	}
	for _, r := range s.rows {
		e := r.show()
		if t := s.tier(s.dialectOf(e.Info)); e.Ejected {
			e.Ejected = t != nil && t.holds
		}
		if e.State == conn.Ready {
			out.Ready++
		}
		out.Endpoints = append(out.Endpoints, e)
	}
	return out
}
