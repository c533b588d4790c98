// SPDX-License-Identifier: MPL-2.0

package main

import (
	"net"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/bench/internal/peer"
	"github.com/reattach/reattach/test/bench/internal/shims"
)

// exposed gives a subject whose plugin is a child of the original library behind basic
// expose, both at the other end of a network of that length.
func exposed(protocol plugin.Protocol, delay time.Duration) func(*peer.Servers) (peer.Target, error) {
	return func(s *peer.Servers) (peer.Target, error) {
		command, err := shims.Plugin("upstream", "child", string(protocol))
		if err != nil {
			return nil, err
		}
		served, err := shims.Expose(s, command)
		if err != nil {
			return nil, err
		}
		return reached(served, protocol, delay)
	}
}

// far gives a subject whose plugin runs by itself, at the other end of a network.
func far(protocol plugin.Protocol) func(*peer.Servers) (peer.Target, error) {
	return func(s *peer.Servers) (peer.Target, error) {
		command, err := shims.Plugin("ours", string(protocol), plain)
		if err != nil {
			return nil, err
		}
		served, err := shims.Network(s, command)
		if err != nil {
			return nil, err
		}
		return reached(served, protocol, shims.Away)
	}
}

// reached makes a target of a program that serves the network.
func reached(served *shims.Process, protocol plugin.Protocol, delay time.Duration) (peer.Target, error) {
	if delay > 0 {
		if err := served.Far(delay); err != nil {
			return served.Behind(nil, err)
		}
	}
	address, err := net.ResolveTCPAddr("tcp", served.Address)
	if err != nil {
		return served.Behind(nil, err)
	}
	return served.Behind(attachTo(protocol, address, nil))
}
