// SPDX-License-Identifier: MPL-2.0

// Package manual is a discovery source that is driven by hand: for tests, and
// for programs that learn of their plugins in a way of their own.
package manual

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/target"
)

// Source delivers what Update was given. Its methods may be called from any
// goroutine.
type Source struct {
	name string

	mu     sync.Mutex
	groups map[string]target.Group
	sink   discovery.Sink // nil while Run is not running
	failed chan error
}

// New makes a source with the given name and a first state, which may be
// empty.
func New(name string, groups ...target.Group) *Source {
	s := &Source{name: name, groups: make(map[string]target.Group), failed: make(chan error)}
	s.Update(groups...)
	return s
}

// Name implements discovery.Source.
func (s *Source) Name() string { return s.name }

// Update replaces the groups that are named. An empty group withdraws its
// key. The groups may be changed afterwards: they are copied.
func (s *Source) Update(groups ...target.Group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := make([]target.Group, 0, len(groups))
	for _, g := range groups {
		g = g.Clone()
		sent = append(sent, g)
		if g.Empty() {
			delete(s.groups, g.Key)
		} else {
			s.groups[g.Key] = g
		}
	}
	if s.sink != nil {
		s.sink.Update(sent...)
	}
}

// Error reports err as a source does that cannot see its subject. It does
// nothing while Run is not running.
func (s *Source) Error(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sink != nil {
		s.sink.Error(err)
	}
}

// Fail makes Run return err. It waits until a Run takes it, or ctx ends.
func (s *Source) Fail(ctx context.Context, err error) {
	select {
	case s.failed <- err:
	case <-ctx.Done():
	}
}

// Run implements discovery.Source.
func (s *Source) Run(ctx context.Context, sink discovery.Sink) error {
	s.mu.Lock()
	s.sink = sink
	sink.Update(slices.Collect(maps.Values(s.groups))...)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.sink = nil
		s.mu.Unlock()
	}()
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}
