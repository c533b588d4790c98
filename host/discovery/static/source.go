// SPDX-License-Identifier: MPL-2.0

// Package static is the discovery source for addresses that somebody wrote
// down. Those that ask for it are resolved, again and again, into one endpoint
// for each address record, as a headless Kubernetes Service has them.
package static

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/target"
)

// Resolver looks up the address records of a name. *net.Resolver is one. It
// is called from several goroutines.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Options has a useful zero value.
type Options struct {
	// Resolver looks names up. Nil means net.DefaultResolver.
	Resolver Resolver
	// Interval is the time between two lookups of a name. Zero means 30 s.
	Interval time.Duration
}

const (
	// retryInterval replaces a longer Options.Interval while a lookup fails.
	retryInterval = 5 * time.Second
	// minInterval is kept between two lookups however often Refresh asks, unless
	// Options.Interval is shorter.
	minInterval = time.Second
	// lookupTimeout bounds one lookup.
	lookupTimeout = 5 * time.Second
)

// Source is a discovery.Source and a discovery.Refresher.
type Source struct {
	opts    Options
	fixed   target.Group
	names   []*name
	refresh chan struct{}
}

// New reads list as Parse does. It looks nothing up yet.
func New(list string, opts Options) (*Source, error) {
	if opts.Interval < 0 {
		return nil, fmt.Errorf("make static source: option Interval %s is below zero", opts.Interval)
	}
	if opts.Resolver == nil {
		opts.Resolver = net.DefaultResolver
	}
	opts.Interval = cmp.Or(opts.Interval, 30*time.Second)
	entries, err := Parse(list)
	if err != nil {
		return nil, err
	}
	s := &Source{opts: opts, fixed: target.Group{Key: "addresses"}, refresh: make(chan struct{}, 1)}
	declared := make(map[string]int)
	for _, e := range entries {
		if e.Resolve {
			s.names = append(s.names, &name{entry: e, resolver: opts.Resolver})
			continue
		}
		i, known := declared[e.Plugin]
		if !known {
			i = len(s.fixed.Plugins)
			declared[e.Plugin] = i
			s.fixed.Plugins = append(s.fixed.Plugins, target.Plugin{})
		}
		s.fixed.Plugins[i] = s.fixed.Plugins[i].Merge(e.declaration())
		s.fixed.Endpoints = append(s.fixed.Endpoints, target.Endpoint{
			ID: target.MakeID(e.Plugin, e.Address()), Plugin: e.Plugin,
			Placement: target.Network, Address: e.Address(), ServerName: e.serverName(),
		})
	}
	return s, nil
}

// Name implements discovery.Source.
func (*Source) Name() string { return "static" }

// Refresh implements discovery.Refresher: names are resolved again, at most
// once in minInterval.
func (s *Source) Refresh() {
	select {
	case s.refresh <- struct{}{}:
	default: // asked already
	}
}

// Run implements discovery.Source.
func (s *Source) Run(ctx context.Context, sink discovery.Sink) error {
	first := make([]target.Group, 0, len(s.names)+1)
	first = append(first, s.fixed.Clone())
	for _, n := range s.names {
		n.sent = target.Group{} // an earlier Run sent it to another sink
	}
	err := s.round(ctx, func(g target.Group) { first = append(first, g) })
	if ctx.Err() != nil {
		return nil
	}
	sink.Update(first...)
	s.report(sink, nil, err)
	for len(s.names) > 0 && s.wait(ctx, err) {
		last := err
		err = s.round(ctx, func(g target.Group) {
			if last != nil { // whether it is over is known at the end of the round
				sink.Partial(last, g)
				return
			}
			sink.Update(g)
		})
		if ctx.Err() != nil {
			return nil
		}
		s.report(sink, last, err)
	}
	<-ctx.Done()
	return nil
}

// report counts failed lookups, and clears the count's last error when all
// names resolve again without having changed.
func (s *Source) report(sink discovery.Sink, last, now error) {
	switch {
	case now != nil:
		sink.Error(now)
	case last != nil:
		sink.Update()
	}
}

// wait waits until the next round is due. It reports false if ctx ended.
func (s *Source) wait(ctx context.Context, last error) bool {
	interval := s.opts.Interval
	if last != nil {
		interval = min(interval, retryInterval)
	}
	pause := min(interval, minInterval)
	least := time.NewTimer(pause)
	defer least.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-least.C:
	}
	due := time.NewTimer(interval - pause)
	defer due.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.refresh:
	case <-due.C:
	}
	return true
}

// round looks every name up once, all at the same time, and hands on the
// groups that changed, one at a time. Its error joins those of the lookups.
func (s *Source) round(ctx context.Context, changed func(target.Group)) error {
	type answer struct {
		name *name
		ips  []netip.Addr
		err  error
	}
	answers := make(chan answer)
	for _, n := range s.names {
		go func() {
			ips, err := n.lookup(ctx)
			answers <- answer{n, ips, err}
		}()
	}
	failed := make(map[*name]error)
	for range s.names {
		a := <-answers
		failed[a.name] = a.err
		if g, news := a.name.take(a.ips, a.err); news && ctx.Err() == nil {
			changed(g)
		}
	}
	var errs []error
	for _, n := range s.names { // in the order of the list, for a stable text
		errs = append(errs, failed[n])
	}
	return errors.Join(errs...)
}
