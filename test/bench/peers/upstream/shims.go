// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"os/exec"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/bench/internal/peer"
	"github.com/reattach/reattach/test/bench/internal/shims"
)

// attached gives a subject of an unchanged host, which starts basic attach as its plugin.
// serve starts the plugin that this attaches to.
func attached(protocol plugin.Protocol, serve func(*peer.Servers, plugin.Protocol) (*shims.Process, error)) func(*peer.Servers) (peer.Target, error) {
	return func(s *peer.Servers) (peer.Target, error) {
		served, err := serve(s, protocol)
		if err != nil {
			return nil, err
		}
		return served.Behind(starting(protocol, false, func() (*exec.Cmd, error) { return shims.Attach(served.Address) }, s.Count))
	}
}

// far puts a network before what is served.
func far(serve func(*peer.Servers, plugin.Protocol) (*shims.Process, error)) func(*peer.Servers, plugin.Protocol) (*shims.Process, error) {
	return func(s *peer.Servers, protocol plugin.Protocol) (*shims.Process, error) {
		served, err := serve(s, protocol)
		if err != nil {
			return nil, err
		}
		if err := served.Far(shims.Away); err != nil {
			return nil, errors.Join(err, served.Close())
		}
		return served, nil
	}
}

// network is a plugin of the fork in network mode.
func network(s *peer.Servers, protocol plugin.Protocol) (*shims.Process, error) {
	command, err := shims.Plugin("ours", string(protocol), "plain")
	if err != nil {
		return nil, err
	}
	return shims.Network(s, command)
}

// exposed is a child of the original library behind basic expose.
func exposed(s *peer.Servers, protocol plugin.Protocol) (*shims.Process, error) {
	command, err := shims.Plugin("upstream", "child", string(protocol))
	if err != nil {
		return nil, err
	}
	return shims.Expose(s, command)
}
