// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/stub"
)

// Errors that Run returns.
var (
	// ErrUnreachable is matched when no endpoint could be attached to. The host has not
	// heard of the plugin then.
	ErrUnreachable = errors.New("the plugin was not reached")
	// ErrLost is matched when the endpoint was lost to which the host was to keep. A child
	// that crashes ends as well, and hosts know what to do then.
	ErrLost = errors.New("the plugin was lost")
	// ErrHostEnded is matched when the host has ended without asking for the end.
	ErrHostEnded = errors.New("the host has ended")
)

// Run reaches the plugin, and then is the plugin of the host that has started this
// process, until that asks for the end (nil) or ends itself, or ctx ends. It takes the
// process over: its standard streams belong to the host, and a second Run is not
// possible. The plugin on the network lives on whatever happens.
func Run(ctx context.Context, o Options) error {
	if err := o.validate(); err != nil {
		return err
	}
	ctx, over := untilHostEnds(ctx, cmp.Or(o.Host, os.Getppid()))
	defer over()
	r, err := newRemote(o)
	if err != nil {
		return err
	}
	s := &shim{remote: r, state: stub.NewState()}
	defer s.close()
	s.forward()
	served, err := s.reach(ctx)
	switch {
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), ErrHostEnded):
		return ErrHostEnded
	case err != nil:
		return err
	}
	done, stop := make(chan struct{}), make(chan struct{})
	served.Stop = stop
	asChild()
	go func() {
		defer close(done)
		plugin.Serve(served)
	}()
	select {
	case <-done:
		return nil
	case <-s.state.Lost():
		err = fmt.Errorf("%w: %w", ErrLost, stub.ErrAffinityLost)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	close(stop)
	<-done // which removes the socket
	return err
}

// reach waits for the plugin, and gives what the host sees of it.
func (s *shim) reach(ctx context.Context) (*plugin.ServeConfig, error) {
	r := s.remote
	if r.opts.Waiting != nil {
		defer r.opts.Waiting(r.awaited)()
	}
	info, err := r.start(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return s.serveConfig(ctx, info)
}

// asChild makes Serve the plugin of one host, whatever the host's own environment says: it may
// be a plugin of network mode itself. That this process ends with its host is Run's part, which
// has known the host for longer than Serve.
func asChild() {
	_ = os.Unsetenv("PLUGIN_HOST")
	_ = os.Unsetenv("PLUGIN_END_WITH_HOST")
}

// shim stands between a host and the plugin.
type shim struct {
	remote *remote
	state  *stub.State
	grpc   grpcShim
	rpc    rpcRelay
}

// forward has callbacks of the plugin go to the host, over either protocol. It comes
// before the first session.
func (s *shim) forward() {
	s.rpc.remote = s.remote
	s.grpc.callbacks.served = make(map[callback]bool)
	s.remote.broker.Forward(s.rpc.dialHost, s.grpc.offerPlugin())
}

// serveConfig is what the host sees: one version of what the plugin speaks.
func (s *shim) serveConfig(ctx context.Context, info conn.Info) (*plugin.ServeConfig, error) {
	o := &s.remote.opts
	set := plugin.PluginSet{}
	served := &plugin.ServeConfig{
		HandshakeConfig:  o.Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{info.Version: set},
		Logger:           o.Logger,
		Started:          s.remote.printTo,
	}
	if info.Protocol == string(plugin.ProtocolNetRPC) {
		logUnused(o)
		s.rpc.router = s.state.Keeping(s.remote)
		set[plugin.AnyKind] = &s.rpc
		return served, nil
	}
	config := stub.Config{
		Router: s.remote, Methods: o.Methods, State: s.state, Affinity: o.Affinity, Broker: s.remote.broker,
		Tracing: stub.Tracing{Tracer: o.Tracer, Plugin: o.Plugin},
	}
	if err := s.grpc.open(ctx, config, o); err != nil {
		return nil, err
	}
	set[plugin.AnyKind] = &s.grpc
	served.GRPCServer = s.grpc.newServer
	return served, nil
}

func (s *shim) close() {
	s.state.Close()
	s.grpc.close()
	if err := s.remote.close(); err != nil {
		s.remote.opts.Logger.Debug("detached late", "error", err)
	}
	s.grpc.callbacks.close()
}
