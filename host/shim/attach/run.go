// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/host/stub"
)

// Errors that Run returns before the host has heard of the plugin.
var (
	// ErrUnreachable is matched when no endpoint could be attached to.
	ErrUnreachable = errors.New("the plugin was not reached")
	// ErrLost is matched when the endpoint was lost to which the host was to keep. A child
	// that crashes ends as well, and hosts know what to do then.
	ErrLost = errors.New("the plugin was lost")
	// ErrHostEnded is matched when the host has ended first.
	ErrHostEnded = errors.New("the host has ended")
)

// Run reaches the plugin, and then is the plugin of the host that has started this
// process, until that asks for the end or ends itself (nil), or ctx ends. It takes the
// process over: its standard streams belong to the host, and a second Run is not
// possible. The plugin on the network lives on whatever happens.
func Run(ctx context.Context, o Options) error {
	host := os.Getppid()
	if err := o.validate(); err != nil {
		return err
	}
	r, err := newRemote(o)
	if err != nil {
		return err
	}
	info, err := r.start(ctx)
	defer func() {
		if err := r.close(); err != nil {
			o.Logger.Debug("detached late", "error", err)
		}
	}()
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	case os.Getppid() != host:
		return ErrHostEnded
	}
	served := &plugin.ServeConfig{
		HandshakeConfig:  o.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{info.Version: {}},
		Logger:           o.Logger,
	}
	state := stub.NewState()
	defer state.Close()
	end, err := r.serveGRPC(ctx, served, info.Version, state)
	if err != nil {
		return err
	}
	defer end()
	done := make(chan struct{})
	asChild()
	go func() {
		defer close(done)
		plugin.Serve(served)
	}()
	select {
	case <-done:
		return nil
	case <-state.Lost():
		return fmt.Errorf("%w: %w", ErrLost, stub.ErrAffinityLost)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// asChild makes Serve the plugin of one host, which ends with it, whatever the host's
// own environment says: it may be a plugin of network mode itself.
func asChild() {
	_ = os.Unsetenv("PLUGIN_HOST")
	_ = os.Setenv("PLUGIN_END_WITH_HOST", "true")
}

// serveGRPC makes served hand on what it is called over gRPC.
func (r *remote) serveGRPC(ctx context.Context, served *plugin.ServeConfig, version int, state *stub.State) (end func(), err error) {
	routed, err := stub.NewGRPC(stub.Config{Router: r, Methods: r.opts.Methods, State: state, Affinity: r.opts.Affinity, Broker: r.broker})
	if err != nil {
		return nil, err
	}
	unary, err := unaryMethods(ctx, routed.Conn)
	if err != nil {
		r.opts.Logger.Debug("the plugin does not say of all methods whether they are streams", "error", err)
	}
	relay := &grpcRelay{to: routed.Conn, codec: newRawCodec(), unary: func(method string) bool {
		return unary[method] || r.isDeclared(method[strings.LastIndexByte(method, '/')+1:])
	}}
	served.VersionedPlugins[version]["*"] = &grpcGlue{}
	bounds := []grpc.ServerOption{grpc.MaxRecvMsgSize(r.opts.MaxMessageBytes), grpc.MaxSendMsgSize(r.opts.MaxMessageBytes)}
	served.GRPCServer = func(options []grpc.ServerOption) *grpc.Server {
		return grpc.NewServer(append(append(options, bounds...), relay.options()...)...)
	}
	return func() { _ = routed.Close() }, nil
}

// isDeclared reports whether a method is known to be unary by what was said of it.
func (r *remote) isDeclared(method string) bool {
	o := r.opts.Methods.Options(method)
	return o.Idempotent || o.Replay
}

// grpcGlue registers nothing: what is not registered is handed on.
type grpcGlue struct{ plugin.NetRPCUnsupportedPlugin }

// GRPCServer implements plugin.GRPCPlugin.
func (g *grpcGlue) GRPCServer(broker *plugin.GRPCBroker, _ *grpc.Server) error { return nil }

// GRPCClient implements plugin.GRPCPlugin. It is not used: this is no host.
func (*grpcGlue) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, errors.ErrUnsupported
}
