// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"net/rpc"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/bench/internal/glue"
	"github.com/reattach/reattach/test/bench/internal/greet"
)

// workers are what a plugin serves over a protocol. A host leaves impl nil. Over net/rpc the
// calls of Hold have a context on both sides, which only the fork gives them.
func workers(protocol plugin.Protocol, impl greet.Worker) (plugin.PluginSet, error) {
	set, err := glue.Set(protocol, impl)
	if err == nil && protocol == netRPC {
		set[greet.Kind] = &contextRPC{impl}
	}
	return set, err
}

// contextRPC carries a Worker over net/rpc.
type contextRPC struct{ impl greet.Worker }

// Server implements plugin.Plugin.
func (p *contextRPC) Server(*plugin.MuxBroker) (any, error) {
	return plugin.ContextReceiver(&contextReceiver{greet.Receiver{Impl: p.impl}}), nil
}

// Client implements plugin.Plugin.
func (*contextRPC) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &contextCaller{greet.Caller{Client: c}}, nil
}

type contextReceiver struct{ greet.Receiver }

// Hold serves Plugin.Hold.
func (r *contextReceiver) Hold(ctx context.Context, d time.Duration, _ *struct{}) error {
	return r.Impl.Hold(ctx, d)
}

type contextCaller struct{ greet.Caller }

// Hold implements greet.Worker.
func (c *contextCaller) Hold(ctx context.Context, d time.Duration) error {
	return plugin.CallContext(ctx, c.Client, "Plugin.Hold", d, new(struct{}))
}
