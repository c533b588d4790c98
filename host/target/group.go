// SPDX-License-Identifier: MPL-2.0

package target

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Plugin is what a source knows about a plugin apart from its endpoints. A
// source declares a plugin to say that it should exist even while it has no
// endpoint, such as a Service without a ready pod or a name that does not
// resolve yet.
type Plugin struct {
	// Name is the plugin's name.
	Name string
	// Required makes the host unready while no endpoint of it is ready.
	Required bool
	// Affinity keeps a host with one endpoint: the plugin remembers what it was told.
	Affinity bool
	// Replay are the methods, separated by commas, whose last accepted request is sent to
	// each endpoint before its first other call.
	Replay string
}

// Merge gives what two declarations of one plugin say together: what p says, and what o
// says where p says nothing.
func (p Plugin) Merge(o Plugin) Plugin {
	return Plugin{
		Name: cmp.Or(p.Name, o.Name), Required: p.Required || o.Required,
		Affinity: p.Affinity || o.Affinity, Replay: cmp.Or(p.Replay, o.Replay),
	}
}

// Problem is something that a source found and cannot offer, such as a file
// that is not executable. It is for people: nothing branches on its text.
type Problem struct {
	// Plugin is the name of the plugin that it keeps away, or empty.
	Plugin string `json:"plugin,omitempty"`
	// Subject is the file, the address or the object that it is about.
	Subject string `json:"subject"`
	// Reason says what is wrong and, where possible, what to do.
	Reason string `json:"reason"`
	// Source is the name of the source. The discovery Manager fills it in.
	Source string `json:"source"`
}

// String gives "SUBJECT: REASON".
func (p Problem) String() string {
	return p.Subject + ": " + p.Reason
}

// Group is the full state of one key of one source: a directory, a Service, a
// name to resolve. It is never a delta. An empty group withdraws the key.
// Nobody changes a group, nor the slices in it, once it has been sent.
type Group struct {
	// Key is unique within its source.
	Key string
	// Plugins are declared by this key. An endpoint's plugin need not be
	// declared as well.
	Plugins []Plugin
	// Endpoints are all that the key holds now, in any order.
	Endpoints []Endpoint
	// Problems are all that the source met with the key, in any order.
	Problems []Problem
}

// Empty reports whether g says nothing, and so withdraws its key.
func (g Group) Empty() bool {
	return len(g.Plugins) == 0 && len(g.Endpoints) == 0 && len(g.Problems) == 0
}

// Equal reports whether both groups say the same. Order does not matter.
func (g Group) Equal(o Group) bool {
	return g.Key == o.Key &&
		sameElements(g.Plugins, o.Plugins, ComparePlugins) &&
		sameElements(g.Endpoints, o.Endpoints, CompareEndpoints) &&
		sameElements(g.Problems, o.Problems, CompareProblems)
}

// Clone gives a copy that shares nothing with g.
func (g Group) Clone() Group {
	return Group{
		Key:       g.Key,
		Plugins:   slices.Clone(g.Plugins),
		Endpoints: slices.Clone(g.Endpoints),
		Problems:  slices.Clone(g.Problems),
	}
}

// Validate says everything that is wrong with g: an empty key, a plugin or
// endpoint that is not valid, an endpoint ID or a plugin that appears twice.
func (g Group) Validate() error {
	var errs []error
	if g.Key == "" {
		errs = append(errs, errors.New("key is empty"))
	}
	plugins := make(map[string]bool, len(g.Plugins))
	for _, p := range g.Plugins {
		if plugins[p.Name] {
			errs = append(errs, fmt.Errorf("plugin %q is declared twice", p.Name))
		}
		plugins[p.Name] = true
		errs = append(errs, ValidateName(p.Name))
	}
	ids := make(map[string]bool, len(g.Endpoints))
	for _, e := range g.Endpoints {
		if ids[e.ID] {
			errs = append(errs, fmt.Errorf("endpoint %q appears twice", e.ID))
		}
		ids[e.ID] = true
		errs = append(errs, e.Validate())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("group %q: %w", g.Key, err)
	}
	return nil
}

// CompareEndpoints orders by plugin, then by ID, then by whatever else tells
// two endpoints apart.
func CompareEndpoints(a, b Endpoint) int {
	// Sets are sorted often and large: most pairs differ here already.
	if c := cmp.Compare(a.Plugin, b.Plugin); c != 0 {
		return c
	}
	if c := cmp.Compare(a.ID, b.ID); c != 0 {
		return c
	}
	return cmp.Or(
		cmp.Compare(a.Fingerprint, b.Fingerprint),
		cmp.Compare(a.Address, b.Address),
		cmp.Compare(a.Source, b.Source),
	)
}

// ComparePlugins orders by name.
func ComparePlugins(a, b Plugin) int {
	return cmp.Compare(a.Name, b.Name)
}

// CompareProblems orders by subject, plugin, reason and source.
func CompareProblems(a, b Problem) int {
	return cmp.Or(
		cmp.Compare(a.Subject, b.Subject),
		cmp.Compare(a.Plugin, b.Plugin),
		cmp.Compare(a.Reason, b.Reason),
		cmp.Compare(a.Source, b.Source),
	)
}

// sameElements compares as sets of at most a few thousand elements, without
// a copy in the usual case that the order is the same.
func sameElements[E comparable](a, b []E, order func(E, E) int) bool {
	if len(a) != len(b) {
		return false
	}
	if slices.Equal(a, b) {
		return true
	}
	return slices.Equal(slices.SortedFunc(slices.Values(a), order), slices.SortedFunc(slices.Values(b), order))
}
