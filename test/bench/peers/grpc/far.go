// SPDX-License-Identifier: MPL-2.0

package main

import (
	"github.com/reattach/reattach/test/bench/internal/link"
	"github.com/reattach/reattach/test/bench/internal/peer"
	"github.com/reattach/reattach/test/bench/internal/shims"
)

// far has the server at the other end of a network: what a host and a plugin would have
// without anything between them, if they could be told where the other one is.
func far(s *peer.Servers) (peer.Target, error) {
	server, err := s.Start(nil)
	if err != nil {
		return nil, err
	}
	way, err := link.NewDelayed(server.Line, shims.Away)
	if err != nil {
		return nil, err
	}
	return distant{way}, nil
}

// distant is what can be reached through a network, which ends with it.
type distant struct{ *link.Delayed }

// Attach implements peer.Target.
func (d distant) Attach() (peer.Session, error) { return attach(d.Addr()) }
