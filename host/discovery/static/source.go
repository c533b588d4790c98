// SPDX-License-Identifier: MPL-2.0

// Package static is the discovery source for addresses that somebody wrote
// down. Those that ask for it are resolved, again and again, into one endpoint
// for each address record, as a headless Kubernetes Service has them.
package static

import (
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
	// Network is "ip", "ip4" or "ip6": the address records to use. Empty
	// means "ip", both.
	Network string
	// Interval is the time between two lookups of a name. Zero means 30 s.
	Interval time.Duration
	// RetryInterval replaces Interval while a lookup fails. Zero means 5 s.
	RetryInterval time.Duration
	// MinInterval is kept between two lookups however often Refresh asks.
	// Zero means 1 s.
	MinInterval time.Duration
	// Timeout bounds one lookup. Zero means 5 s.
	Timeout time.Duration
}

func (o Options) withDefaults() (Options, error) {
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	switch o.Network {
	case "":
		o.Network = "ip"
	case "ip", "ip4", "ip6":
	default:
		return o, fmt.Errorf("option Network %q: use ip, ip4 or ip6", o.Network)
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
	}{
		{"Interval", &o.Interval, 30 * time.Second},
		{"RetryInterval", &o.RetryInterval, 5 * time.Second},
		{"MinInterval", &o.MinInterval, time.Second},
		{"Timeout", &o.Timeout, 5 * time.Second},
	} {
		if *d.value < 0 {
			return o, fmt.Errorf("option %s %s is below zero", d.name, *d.value)
		}
		if *d.value == 0 {
			*d.value = d.usual
		}
	}
	return o, nil
}

// Source is a discovery.Source and a discovery.Refresher.
type Source struct {
	opts    Options
	fixed   target.Group
	names   []*name
	refresh chan struct{}
}

// New reads list as Parse does. It looks nothing up yet.
func New(list string, opts Options) (*Source, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("make static source: %w", err)
	}
	entries, err := Parse(list)
	if err != nil {
		return nil, err
	}
	s := &Source{opts: opts, fixed: target.Group{Key: "addresses"}, refresh: make(chan struct{}, 1)}
	declared := make(map[string]bool)
	for _, e := range entries {
		if e.Resolve {
			s.names = append(s.names, &name{entry: e, opts: &s.opts})
			continue
		}
		if !declared[e.Plugin] {
			declared[e.Plugin] = true
			s.fixed.Plugins = append(s.fixed.Plugins, target.Plugin{Name: e.Plugin})
		}
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
// once in MinInterval.
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
		err = s.round(ctx, func(g target.Group) { sink.Update(g) })
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
		interval = min(interval, s.opts.RetryInterval)
	}
	pause := min(interval, s.opts.MinInterval)
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
