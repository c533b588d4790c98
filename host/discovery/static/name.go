// SPDX-License-Identifier: MPL-2.0

package static

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/reattach/reattach/host/target"
)

// errAbsent is the answer of a name server that knows of no address.
var errAbsent = errors.New("no such host")

// believeAbsence is how many lookups in a row must say so before the last
// good addresses are given up: a name can lose its records for a second, as
// when every pod of a headless Service is replaced at once.
const believeAbsence = 2

// name is an entry that is resolved, and what its last good lookup said.
type name struct {
	entry    Entry
	resolver Resolver
	ips      []netip.Addr // of the last good lookup, sorted, each once
	absent   int          // lookups in a row that found no address
	sent     target.Group // the last one that was handed on
}

// lookup asks the resolver once. Its error wraps errAbsent if the answer is
// that there is no address.
func (n *name) lookup(ctx context.Context) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	ips, err := n.resolver.LookupNetIP(ctx, "ip", n.entry.Host)
	if err == nil && len(ips) == 0 {
		err = errAbsent
	}
	if err != nil {
		return nil, fmt.Errorf("resolve %s: %w", n.entry.Host, plain(err))
	}
	sorted := make([]netip.Addr, 0, len(ips))
	for _, ip := range ips {
		sorted = append(sorted, ip.Unmap())
	}
	slices.SortFunc(sorted, netip.Addr.Compare)
	return slices.Compact(sorted), nil
}

// plain leaves out what changes from one lookup to the next or repeats the
// name, such as the port of the query, so that equal failures read the same.
func plain(err error) error {
	de, ok := errors.AsType[*net.DNSError](err)
	switch {
	case !ok:
		return err
	case de.IsTimeout:
		return errors.New("the name server did not answer in time")
	case de.IsNotFound:
		return errAbsent
	}
	return errors.New(de.Err)
}

// take makes the group to send of the outcome of a lookup, and reports
// whether it differs from the last one. After an error the last good
// addresses stay, unless absence is certain.
func (n *name) take(ips []netip.Addr, err error) (target.Group, bool) {
	e := n.entry
	g := target.Group{
		Key:     e.Plugin + "=" + dnsScheme + e.Address(),
		Plugins: []target.Plugin{e.declaration()},
	}
	n.learn(ips, err)
	if err != nil {
		g.Problems = []target.Problem{{Plugin: e.Plugin, Subject: e.Address(), Reason: err.Error()}}
	}
	for _, ip := range n.ips {
		address := net.JoinHostPort(ip.String(), e.Port)
		g.Endpoints = append(g.Endpoints, target.Endpoint{
			ID: target.MakeID(e.Plugin, address), Plugin: e.Plugin,
			Placement: target.Network, Address: address, ServerName: e.serverName(),
		})
	}
	if g.Equal(n.sent) {
		return g, false
	}
	n.sent = g
	return g, true
}

// learn updates the addresses in force.
func (n *name) learn(ips []netip.Addr, err error) {
	switch {
	case err == nil:
		n.ips, n.absent = ips, 0
	case !errors.Is(err, errAbsent):
		n.absent = 0
	default:
		if n.absent++; n.absent >= believeAbsence {
			n.ips = nil
		}
	}
}
