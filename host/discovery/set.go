// SPDX-License-Identifier: MPL-2.0

package discovery

import (
	"fmt"
	"maps"
	"slices"

	"github.com/reattach/reattach/host/target"
)

// Set is the merged state of all sources at one time. It is never changed
// once it has been offered, and readers must not change it either.
type Set struct {
	// Generation grows by one with every set that differs from the last.
	Generation uint64
	// Endpoints has each ID once, ordered by plugin, then by ID.
	Endpoints []target.Endpoint
	// Plugins are all that a source declared or that have an endpoint,
	// ordered by name. What several sources say of one is merged.
	Plugins []target.Plugin
	// Problems are those of all sources, and the conflicts between them.
	Problems []target.Problem
	// Synced is set once every source has delivered its first full state.
	Synced bool
}

// same reports whether s and o differ in nothing but their generation.
func (s *Set) same(o *Set) bool {
	return s.Synced == o.Synced &&
		slices.Equal(s.Endpoints, o.Endpoints) &&
		slices.Equal(s.Plugins, o.Plugins) &&
		slices.Equal(s.Problems, o.Problems)
}

// sourceGroups is what one source said last, ordered by key.
type sourceGroups struct {
	source string
	groups []target.Group
}

// merge builds one set. When an endpoint ID is named twice, the source that
// comes first wins, and within one source the first key; the other is left out and reported.
func merge(all []sourceGroups) *Set {
	set := &Set{}
	total := 0
	for _, s := range all {
		for _, g := range s.groups {
			total += len(g.Endpoints)
		}
	}
	set.Endpoints = make([]target.Endpoint, 0, total)
	owner := make(map[string]int, total) // by ID, an index of set.Endpoints
	plugins := make(map[string]target.Plugin)
	for _, s := range all {
		for _, g := range s.groups {
			for _, p := range g.Plugins {
				if first, declared := plugins[p.Name]; declared {
					p = first.Merge(p)
				}
				plugins[p.Name] = p
			}
			for _, p := range g.Problems {
				p.Source = s.source
				set.Problems = append(set.Problems, p)
			}
			for _, e := range g.Endpoints {
				e.Source = s.source
				if first, taken := owner[e.ID]; taken {
					set.Problems = append(set.Problems, conflict(set.Endpoints[first], e))
					continue
				}
				owner[e.ID] = len(set.Endpoints)
				set.Endpoints = append(set.Endpoints, e)
				if _, declared := plugins[e.Plugin]; !declared {
					plugins[e.Plugin] = target.Plugin{Name: e.Plugin}
				}
			}
		}
	}
	slices.SortFunc(set.Endpoints, target.CompareEndpoints)
	set.Plugins = slices.SortedFunc(maps.Values(plugins), target.ComparePlugins)
	slices.SortFunc(set.Problems, target.CompareProblems)
	set.Problems = slices.Compact(set.Problems)
	return set
}

func conflict(first, second target.Endpoint) target.Problem {
	reason := fmt.Sprintf("source %s names it as well; only the one of source %s is used", second.Source, first.Source)
	if first.Source == second.Source {
		reason = fmt.Sprintf("source %s names it more than once; only the first is used", first.Source)
	}
	return target.Problem{Plugin: second.Plugin, Subject: second.ID, Reason: reason, Source: second.Source}
}
