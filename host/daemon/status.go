// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/history"
	"github.com/reattach/reattach/host/target"
)

// Event is one thing that happened to a plugin or an endpoint.
type Event = fleet.Event

// Past is an event that is kept for whoever comes later.
type Past = fleet.Past

// Subscription is a bounded stream of events for one reader, which closes it.
// What it cannot hold is dropped and counted.
type Subscription = fleet.Subscription

// Plugin is how one plugin fares at one time.
type Plugin struct {
	// Name is the plugin's name.
	Name string `json:"name"`
	// Ready says that at least one endpoint takes calls, and at least one those of
	// each kind that was dispensed and keeps to a protocol.
	Ready bool `json:"ready"`
	// Since is when it got its first endpoint that takes calls, or lost the last one, or
	// was found.
	Since time.Time `json:"since,omitzero"`
	// Required says that the daemon is not ready without it.
	Required bool `json:"required"`
	// Waiting counts the calls that wait for an endpoint.
	Waiting int `json:"waiting"`
	// Kinds are the interfaces that its endpoints say they serve, whether or not
	// this daemon knows them, and those of which it has answered a call: children
	// and plugins of the original library do not tell. They are ordered by name.
	Kinds []string `json:"kinds"`
	// Endpoints are ordered by ID.
	Endpoints []Endpoint `json:"endpoints"`
	// Problems are what discovery found of it and cannot offer, kinds that were
	// dispensed and that no endpoint serves any more, and methods that were declared for
	// replay and that it does not have.
	Problems []string `json:"problems"`
}

// Endpoint is how one endpoint fares at one time.
type Endpoint struct {
	ID        string           `json:"id"`
	Address   string           `json:"address"`
	Placement target.Placement `json:"placement"`
	Source    string           `json:"source"`
	Zone      string           `json:"zone,omitempty"`
	Node      string           `json:"node,omitempty"`
	// ServerName is the name that its certificate must carry, if that is not the plugin's.
	ServerName string `json:"serverName,omitempty"`
	// Draining says that its source wants it to leave.
	Draining bool `json:"draining,omitempty"`

	State conn.State `json:"state"`
	// Since is when State began.
	Since time.Time `json:"since"`
	// UnreadySince is since when State has not been READY, through all attempts; zero
	// while it is.
	UnreadySince time.Time `json:"unreadySince,omitzero"`
	// LastError is what went wrong last, and LastErrorTime when: before Since if all is
	// well again.
	LastError     string    `json:"lastError,omitempty"`
	LastErrorTime time.Time `json:"lastErrorTime,omitzero"`
	// Permanent says that trying again cannot mend LastError.
	Permanent bool `json:"permanent,omitempty"`
	// Departure says that LastError is no fault: "leaving" while the plugin, which has said
	// that it leaves, finishes its calls, and "left" while nobody is reached there since.
	Departure conn.Departure `json:"departure,omitempty"`
	// Warning is what its plugin lacks of this host's interfaces, and why it is not
	// ready for UnreadyKinds.
	Warning string `json:"warning,omitempty"`
	// UnreadyKinds are kinds whose calls go elsewhere although it is READY: what was
	// dispensed of them keeps to a protocol, or a version, that it does not speak.
	UnreadyKinds []string `json:"unreadyKinds,omitempty"`
	// Failures counts attempts in a row that came to nothing or did not last.
	Failures    int       `json:"failures,omitempty"`
	NextAttempt time.Time `json:"nextAttempt,omitzero"`
	// Restarts is how often the session was made anew.
	Restarts int `json:"restarts"`
	// Ejected says that calls go elsewhere although it is READY, since it did not
	// answer.
	Ejected bool `json:"ejected,omitempty"`
	// InFlight counts its calls that have not ended.
	InFlight int `json:"inFlight"`
	// Replacement is the state of the new instance that shall take its place.
	Replacement string `json:"replacement,omitempty"`

	// What the session agreed on, or the last one did.
	Protocol string `json:"protocol,omitempty"`
	Version  int    `json:"version,omitempty"`
	Instance string `json:"instance,omitempty"`
	Build    string `json:"build,omitempty"`
	TLS      string `json:"tls,omitempty"`
}

// Plugins gives how every plugin fares, ordered by name.
func (d *Daemon) Plugins() []Plugin { return d.Found().Plugins }

// Plugin gives how one plugin fares, and whether it is known.
func (d *Daemon) Plugin(name string) (Plugin, bool) {
	p, known := d.fleet.Plugin(name)
	if !known {
		return Plugin{}, false
	}
	shown := d.newPlugin(p, d.fleet.View().Problems)
	shown.Problems = append(shown.Problems, d.declaredProblems(p)...)
	return shown, true
}

// Serves gives the kinds that a plugin says it serves, with their methods as far as it
// tells, by its first endpoint that does. It is nil for one that does not tell.
func (d *Daemon) Serves(plugin string) []conn.Kind {
	p, _ := d.fleet.Plugin(plugin)
	for _, e := range p.Endpoints {
		if e.Info.Kinds != nil {
			return e.Info.Kinds
		}
	}
	return nil
}

// Found is all that a daemon knows of plugins at one time. Neither list is nil.
type Found struct {
	Plugins []Plugin `json:"plugins"`
	// Problems are what discovery found and cannot offer, of no plugin or of any.
	Problems []target.Problem `json:"problems"`
	// Generation grows with every change: it shows what events of it and of earlier ones tell.
	Generation uint64 `json:"-"`
}

// Found gives all that is known of plugins now.
func (d *Daemon) Found() Found { return d.newFound(d.fleet.View()) }

// Look gives all that is known of plugins now, and what is kept of the events that led to it,
// the oldest first. A subscription that was made before has the others.
func (d *Daemon) Look() (Found, []Past) {
	view, past := d.fleet.Look()
	return d.newFound(view), past
}

func (d *Daemon) newFound(view fleet.View) Found {
	found := Found{make([]Plugin, 0, len(view.Plugins)), append([]target.Problem{}, view.Problems...), view.Generation}
	for _, p := range view.Plugins {
		shown := d.newPlugin(p, view.Problems)
		shown.Problems = append(shown.Problems, d.declaredProblems(p)...)
		found.Plugins = append(found.Plugins, shown)
	}
	return found
}

// Subscribe gives what happens from now on. buffer is how many events may wait for
// the reader.
func (d *Daemon) Subscribe(buffer int) *Subscription { return d.fleet.Subscribe(buffer) }

// History is how the calls of all plugins fared within the last hour. See
// [history.History.Overview] for since.
func (d *Daemon) History(since uint64) history.Overview { return d.metrics.history.Overview(since) }

// PluginHistory is how the calls of one plugin fared within the last hour, by method.
// It is empty for one that is not known.
func (d *Daemon) PluginHistory(plugin string, since uint64) history.PluginHistory {
	return d.metrics.history.Plugin(plugin, since)
}

// Synced waits until every source has said what it knows and Plugins shows it. If ctx ends first, the
// error names those that have not.
func (d *Daemon) Synced(ctx context.Context) error {
	if err := d.manager.WaitSynced(ctx); err != nil {
		return err
	}
	found := d.manager.Current().Generation
	for generation := uint64(0); ; {
		view, err := d.fleet.Wait(ctx, generation)
		if err != nil {
			return fmt.Errorf("wait for what the sources found: %w", err)
		}
		if view.Set >= found {
			return nil
		}
		generation = view.Generation
	}
}

// Unsynced says, for people, which sources have not told anything, and why.
func (d *Daemon) Unsynced() []string { return d.manager.Unsynced() }

// Refresh asks the sources to look again now.
func (d *Daemon) Refresh() { d.manager.Refresh() }

// Ready reports whether nothing is missing; see [Daemon.Missing].
func (d *Daemon) Ready() bool { return len(d.Missing()) == 0 }

// Missing says, for people, what keeps the daemon from being ready: sources that
// have not told anything, required plugins without an endpoint. It is empty when the
// daemon is ready. A plugin that is not required never keeps it from that.
func (d *Daemon) Missing() []string {
	missing := d.manager.Unsynced()
	view := d.fleet.View()
	if len(missing) == 0 && !view.Synced {
		missing = append(missing, "what the sources found is being looked at")
	}
	for _, p := range view.Plugins {
		if !p.Required {
			continue
		}
		if p.Ready == 0 {
			missing = append(missing, fmt.Sprintf("plugin %s: %s", p.Name, whyNotReady(p)))
			continue
		}
		for _, problem := range d.newPlugin(p, nil).Problems {
			missing = append(missing, fmt.Sprintf("plugin %s: %s", p.Name, problem))
		}
	}
	return missing
}

func whyNotReady(p fleet.PluginStatus) string {
	if len(p.Endpoints) == 0 {
		return "it has no endpoint"
	}
	for _, e := range p.Endpoints {
		if e.LastError != "" {
			return fmt.Sprintf("no endpoint is ready; %s: %s", e.Endpoint.ID, e.LastError)
		}
	}
	return "no endpoint is ready yet"
}

func (d *Daemon) newPlugin(s fleet.PluginStatus, problems []target.Problem) Plugin {
	p := Plugin{
		Name: s.Name, Ready: s.Ready > 0, Since: s.Since, Required: s.Required, Waiting: s.Waiting,
		Kinds: []string{}, Endpoints: make([]Endpoint, 0, len(s.Endpoints)), Problems: []string{},
	}
	for _, e := range s.Endpoints {
		p.Endpoints = append(p.Endpoints, newEndpoint(e))
		for _, k := range e.Info.Kinds {
			p.addKind(k.Name)
		}
	}
	for _, kind := range d.answered(s.Name) {
		p.addKind(kind)
	}
	for _, problem := range problems {
		if problem.Plugin == s.Name {
			p.Problems = append(p.Problems, problem.String())
		}
	}
	for _, bound := range d.boundKinds(s.Name) {
		d.warnOfBound(&p, s, bound)
	}
	return p
}

func (p *Plugin) addKind(name string) {
	if at, found := slices.BinarySearch(p.Kinds, name); !found {
		p.Kinds = slices.Insert(p.Kinds, at, name)
	}
}

func newEndpoint(s fleet.EndpointStatus) Endpoint {
	e := Endpoint{
		ID: s.Endpoint.ID, Address: s.Endpoint.Address, Placement: s.Endpoint.Placement, Source: s.Endpoint.Source,
		Zone: s.Endpoint.Zone, Node: s.Endpoint.Node, ServerName: s.Endpoint.ServerName, Draining: s.Endpoint.Draining,
		State: s.State, Since: s.Since, UnreadySince: s.UnreadySince, LastError: s.LastError, LastErrorTime: s.LastErrorTime, Permanent: s.Permanent, Departure: s.Departure, Warning: s.Warning,
		Failures: s.Failures, NextAttempt: s.NextAttempt, Restarts: s.Restarts, Ejected: s.Ejected, InFlight: s.InFlight,
		Protocol: s.Info.Protocol, Version: s.Info.Version, Instance: s.Info.Instance, Build: s.Info.Build, TLS: s.Info.TLS,
	}
	if r := s.Replacement; r != nil {
		e.Replacement = r.State.String()
		if r.LastError != "" {
			e.Replacement += ": " + r.LastError
		}
	}
	return e
}
