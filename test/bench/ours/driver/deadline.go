// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"net/rpc"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/peer"
)

// callTimeout is what the host library gives a call whose method has no timeout of its own.
const callTimeout = 30 * time.Second

// deadline gives the subject of network over net/rpc whose calls have a deadline, as those
// through the host library and all by gRPC have.
func deadline(s *peer.Servers) (peer.Target, error) {
	address, err := startNetwork(s, netRPC, nil)
	if err != nil {
		return nil, err
	}
	config, err := clientConfig(netRPC)
	if err != nil {
		return nil, err
	}
	config.Reattach = &plugin.ReattachConfig{Addr: address}
	config.Plugins[greet.Kind] = &deadlineRPC{}
	return attached(config), nil
}

// deadlineRPC is a host's side alone.
type deadlineRPC struct{ contextRPC }

// Client implements plugin.Plugin.
func (*deadlineRPC) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &deadlineCaller{greet.Caller{Client: c}}, nil
}

type deadlineCaller struct{ greet.Caller }

// Greet implements greet.Greeter.
func (c *deadlineCaller) Greet(name string) (answer string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	err = plugin.CallContext(ctx, c.Client, "Plugin.Greet", name, &answer)
	return answer, err
}
