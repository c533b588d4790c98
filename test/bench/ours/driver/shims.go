// SPDX-License-Identifier: MPL-2.0

package main

import (
	"net"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/bench/internal/peer"
	"github.com/reattach/reattach/test/bench/internal/shims"
)

// exposed gives a subject whose plugin is a child of the original library behind basic
// expose.
func exposed(protocol plugin.Protocol) func(*peer.Servers) (peer.Target, error) {
	return func(s *peer.Servers) (peer.Target, error) {
		command, err := shims.Plugin("upstream", "child", string(protocol))
		if err != nil {
			return nil, err
		}
		served, err := shims.Expose(s, command)
		if err != nil {
			return nil, err
		}
		address, err := net.ResolveTCPAddr("tcp", served.Address)
		if err != nil {
			return served.Behind(nil, err)
		}
		return served.Behind(attachTo(protocol, address, nil))
	}
}
