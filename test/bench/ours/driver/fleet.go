// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/bench/internal/peer"
	"github.com/reattach/reattach/test/bench/internal/wire"
)

// crowd measures what it takes to attach to n endpoints at once.
func crowd(protocol plugin.Protocol) func(*peer.Servers, int) (wire.Effort, error) {
	return func(s *peer.Servers, n int) (wire.Effort, error) {
		addresses, err := listen(s, protocol, plain, n)
		if err != nil {
			return wire.Effort{}, err
		}
		var h *host
		effort, err := peer.Took(s, func() (err error) {
			h, err = startHost(protocol, addresses)
			return err
		})
		if err != nil {
			return effort, err
		}
		return effort, h.close()
	}
}

// endpoints measures what each of n endpoints of the host library holds.
func endpoints(protocol plugin.Protocol) func(*peer.Servers, int) (wire.Cost, error) {
	return func(s *peer.Servers, n int) (wire.Cost, error) {
		// The first endpoint makes what all share.
		one, err := listen(s, protocol, plain, 1)
		if err != nil {
			return wire.Cost{}, err
		}
		addresses, err := listen(s, protocol, plain, n)
		if err != nil {
			return wire.Cost{}, err
		}
		first, err := startHost(protocol, one)
		if err != nil {
			return wire.Cost{}, err
		}
		var h *host
		cost, err := peer.Cost(s, n, func() (err error) {
			h, err = startHost(protocol, addresses)
			return err
		})
		if err != nil {
			return cost, errors.Join(err, first.close())
		}
		return cost, errors.Join(h.close(), first.close())
	}
}
