// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/forward"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/host/services"
	"github.com/reattach/reattach/host/stub"
)

// grpcShim serves a host over gRPC: whatever it calls is handed on by a routed stub. It is
// the plugin.GRPCPlugin that registers nothing.
type grpcShim struct {
	plugin.NetRPCUnsupportedPlugin
	routed    *stub.GRPC // nil: not opened
	relay     forward.Calls
	bounds    []grpc.ServerOption
	callbacks callbacks
}

// open asks the plugin for its methods, and does not call any.
func (g *grpcShim) open(ctx context.Context, config stub.Config, o *Options) (err error) {
	if g.routed, err = stub.NewGRPC(config); err != nil {
		return err
	}
	unary, err := unaryMethods(ctx, g.routed.Conn)
	if err != nil {
		o.Logger.Debug("the plugin does not say of all methods whether they are streams", "error", err)
	} else {
		logProblems(o, unary)
	}
	g.bounds = []grpc.ServerOption{grpc.MaxRecvMsgSize(o.MaxMessageBytes), grpc.MaxSendMsgSize(o.MaxMessageBytes)}
	g.callbacks.bounds = g.bounds
	g.relay = forward.Calls{To: g.routed.Conn, IsUnary: func(_ context.Context, method string) bool {
		if is, told := unary[method]; told {
			return is
		}
		declared := o.Methods.Options(method[strings.LastIndexByte(method, '/')+1:])
		return declared.Idempotent || declared.Replay
	}}
	return nil
}

// logProblems says which of the methods that were declared the plugin does not have.
func logProblems(o *Options, unary map[string]bool) {
	streams := make(map[string]bool, len(unary))
	for method, isUnary := range unary {
		name := method[strings.LastIndexByte(method, '/')+1:]
		others, met := streams[name]
		streams[name] = !isUnary && (others || !met) // of all methods of the name
	}
	for _, declared := range o.Declared {
		for _, problem := range declared.Problems(streams) {
			o.Logger.Warn("what is declared of a method has no effect", "problem", problem)
		}
	}
}

// logUnused says that net/rpc passes by what was declared.
func logUnused(o *Options) {
	for _, declared := range o.Declared {
		if len(declared.Names) > 0 {
			o.Logger.Warn("what is declared of methods has no effect over net/rpc", "option", declared.Option, "methods", declared.Names)
		}
	}
}

// methodsWithin bounds the wait for what a plugin says of its methods.
const methodsWithin = 2 * time.Second

// unaryMethods are those that take one message and answer one. Such a call can be sent
// elsewhere as long as it surely was not run; a stream, once it is open, stays where it
// is. With an error some may be known.
func unaryMethods(ctx context.Context, conn grpc.ClientConnInterface) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, methodsWithin)
	defer cancel()
	all, err := services.List(ctx, conn)
	unary := make(map[string]bool)
	for _, s := range all {
		for _, m := range s.Methods {
			unary["/"+s.Name+"/"+m.Name] = m.Unary
		}
	}
	return unary, err
}

// newServer is a ServeConfig.GRPCServer.
func (g *grpcShim) newServer(options []grpc.ServerOption) *grpc.Server {
	options = append(append(options, g.bounds...), g.relay.Options()...)
	// A goroutine that is made for a call grows its stack to what handing one on needs.
	return grpc.NewServer(append(options, grpc.NumStreamWorkers(streamWorkers))...)
}

// streamWorkers are how many goroutines wait for calls of the host. For more of them at once
// others are made.
const streamWorkers = 4

// GRPCServer implements plugin.GRPCPlugin.
func (g *grpcShim) GRPCServer(host *plugin.GRPCBroker, _ *grpc.Server) error {
	g.callbacks.setHost(host)
	host.Forward(g.callbacks.wantedBy(g.callbacks.hostBroker, g.pluginBroker))
	// A plugin of the original library, behind another shim, dials only what it was told of.
	host.OnAccepted(g.offerPlugin())
	return nil
}

// offerPlugin has ids accepted for the plugin that the host accepts.
func (g *grpcShim) offerPlugin() func(id uint32) {
	return g.callbacks.wantedBy(g.pluginBroker, g.callbacks.hostBroker)
}

// GRPCClient implements plugin.GRPCPlugin. It is not used: this is no host.
func (*grpcShim) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.ErrUnsupported
}

// pluginBroker accepts from all endpoints, and dials the one that has answered last.
func (g *grpcShim) pluginBroker() *plugin.GRPCBroker {
	if g.routed == nil {
		return nil
	}
	return g.routed.Broker
}

func (g *grpcShim) close() {
	if g.routed != nil {
		_ = g.routed.Close()
	}
}
