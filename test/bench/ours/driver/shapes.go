// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/fleet"

	"github.com/reattach/reattach/test/bench/internal/peer"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

// smallTimeout is how long a small call has beside large ones.
const smallTimeout = time.Second

// remote is one endpoint of the host library.
func remote(protocol plugin.Protocol) func(*peer.Servers) (peer.Remote, error) {
	return func(s *peer.Servers) (peer.Remote, error) {
		addresses, err := listen(s, protocol, plain, 1)
		if err != nil {
			return peer.Remote{}, err
		}
		o, err := hostOptions(protocol, smallTimeout)
		var heldBack atomic.Int64
		return peer.Remote{
			Address: addresses[0],
			Attach: func(address string) (peer.Session, error) {
				o.NetworkPlugins = name + "=" + address
				h, err := runHost(o, 1)
				if err != nil {
					return nil, err
				}
				go countEjections(h.daemon.Subscribe(64), &heldBack)
				g, err := h.dispense()
				if err != nil {
					return nil, errors.Join(err, h.close())
				}
				return peer.NewSession(g, h.close), nil
			},
			HeldBack: func() int { return int(heldBack.Load()) },
		}, err
	}
}

// countEjections counts until the daemon ends.
func countEjections(events *daemon.Subscription, n *atomic.Int64) {
	defer events.Close()
	for e := range events.C() {
		if e.Type == fleet.Ejected {
			n.Add(1)
		}
	}
}

// idle measures what n endpoints of as many plugins cost that nobody calls. Their host takes
// the place of one that has a single endpoint, as what a daemon has itself is not theirs.
func idle(protocol plugin.Protocol) func(*peer.Servers, int, time.Duration) (wire.Rest, error) {
	return func(s *peer.Servers, n int, while time.Duration) (wire.Rest, error) {
		addresses, err := listen(s, protocol, plain, n+1)
		if err != nil {
			return wire.Rest{}, err
		}
		// The first endpoint makes what all share.
		first, err := startHost(protocol, addresses[:1])
		if err != nil {
			return wire.Rest{}, err
		}
		closeFirst := sync.OnceValue(first.close)
		var h *host
		rest, err := peer.AtRest(s, n, while, func() (err error) {
			o, err := hostOptions(protocol, 0)
			if err != nil {
				return err
			}
			var list strings.Builder
			for i, a := range addresses {
				fmt.Fprintf(&list, "%s-%d=%s,", name, i, a)
			}
			o.NetworkPlugins = strings.TrimSuffix(list.String(), ",")
			if h, err = runHost(o, n+1); err != nil {
				return err
			}
			return closeFirst()
		})
		err = errors.Join(err, closeFirst())
		if h != nil {
			err = errors.Join(err, h.close())
		}
		return rest, err
	}
}
