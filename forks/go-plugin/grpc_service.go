// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/hashicorp/go-plugin/internal/grpcmux"
	"github.com/hashicorp/go-plugin/internal/panictext"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

// grpcServiceConfig says what a grpcService serves.
type grpcServiceConfig struct {
	plugins   map[string]Plugin
	newServer func([]grpc.ServerOption) *grpc.Server // nil: DefaultGRPCServer
	options   []grpc.ServerOption                    // credentials, keepalive, timeouts

	brokers    brokerKind
	unixSocket UnixSocketConfig     // of brokerListeners
	mux        *grpcmux.ServerMuxer // of brokerMux; the service shuts it down
	tls        *tls.Config          // of brokered connections; nil: plaintext

	maxMessage int         // bounds each message, in bytes; zero does not
	panicked   panicFunc   // in a method
	stdio      stdioSource // nil: none is served
	onShutdown func()      // GRPCController.Shutdown is being answered; runs in a goroutine
	logger     hclog.Logger
}

// grpcService is a gRPC server with a plugin's services and the session's own.
// In a child it lasts as long as the process, in network mode as long as one
// host's connection. All methods may be called from any goroutine.
type grpcService struct {
	server *grpc.Server
	health *health.Server
	broker *GRPCBroker
	mux    *grpcmux.ServerMuxer
	logger hclog.Logger

	tunnelled bool // callbacks need new streams of the session's connection

	calls  callGauge       // of the plugin
	output callGauge       // hosts that are being sent the output
	leaves atomic.Bool     // the plugin is about to leave
	ending context.Context // ends the session's own streams
	end    context.CancelFunc
	once   sync.Once
}

// newGRPCService makes the server and registers everything. It starts no
// goroutine; one who does not serve it must stop it all the same.
func newGRPCService(cfg grpcServiceConfig) (*grpcService, error) {
	if cfg.newServer == nil {
		cfg.newServer = DefaultGRPCServer
	}
	s := &grpcService{health: health.NewServer(), mux: cfg.mux, logger: cfg.logger, tunnelled: cfg.brokers == brokerTunnel}
	s.ending, s.end = context.WithCancel(context.Background())
	// Chained interceptors go beside those of the plugin's own factory.
	supervision := append([]grpc.ServerOption{
		grpc.ChainUnaryInterceptor(s.superviseCall),
		grpc.ChainStreamInterceptor(s.superviseStream),
	}, cfg.panicked.interceptors()...)
	bound := boundServed(cfg.maxMessage)
	s.server = cfg.newServer(slices.Concat(cfg.options, bound, supervision))
	s.registerOwn(&cfg)
	s.broker.maxMessage = cfg.maxMessage
	s.broker.serverOptions = append(s.broker.serverOptions, slices.Concat(bound, supervision)...)

	for _, name := range slices.Sorted(maps.Keys(cfg.plugins)) {
		if err := s.register(name, cfg.plugins[name], cfg.logger); err != nil {
			s.stop()
			return nil, err
		}
	}
	return s, nil
}

// registerOwn registers the session's own services.
func (s *grpcService) registerOwn(cfg *grpcServiceConfig) {
	s.health.SetServingStatus(GRPCServiceName, grpc_health_v1.HealthCheckResponse_SERVING)
	grpc_health_v1.RegisterHealthServer(s.server, s.health)
	reflection.Register(s.server)

	broker, tunnel := cfg.newBroker()
	s.broker = broker
	pluginpb.RegisterGRPCBrokerServer(s.server, &brokerService{broker: broker})
	if tunnel != nil {
		pluginpb.RegisterTunnelServer(s.server, tunnel)
	}
	pluginpb.RegisterGRPCControllerServer(s.server, &controllerService{service: s, shutdown: cfg.onShutdown})
	if cfg.stdio != nil {
		pluginpb.RegisterGRPCStdioServer(s.server, &stdioService{source: cfg.stdio, ending: s.ending})
	}
}

// register lets a plugin register what it serves. One that panics must not take
// the process down, and with it the sessions of other hosts.
func (s *grpcService) register(name string, p Plugin, logger hclog.Logger) (err error) {
	served, ok := p.(GRPCPlugin)
	if !ok {
		return fmt.Errorf("%q is not a GRPC-compatible plugin", name)
	}
	defer func() {
		if r := recover(); r != nil {
			logger.Error("plugin panics in GRPCServer", "kind", name, "panic", panictext.Of(r), "stack", string(debug.Stack()))
			err = fmt.Errorf("error registering %q: GRPCServer panics: %s", name, panictext.Of(r))
		}
	}()
	if err := served.GRPCServer(s.broker, s.server); err != nil {
		return fmt.Errorf("error registering %q: %w", name, err)
	}
	return nil
}

// serve serves until the service is stopped or lis is closed. The caller stops
// the service afterwards.
func (s *grpcService) serve(lis net.Listener) error {
	err := s.server.Serve(lis)
	if errors.Is(err, net.ErrClosed) || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// notifyDrain tells hosts and probes that the plugin is about to leave: those
// that watch its health at once, all others with their next answer. It goes on
// serving.
func (s *grpcService) notifyDrain() {
	s.leaves.Store(true)
	s.health.SetServingStatus(GRPCServiceName, grpc_health_v1.HealthCheckResponse_NOT_SERVING)
}

// inFlight is how many calls of the plugin are being run.
func (s *grpcService) inFlight() int64 { return int64(s.calls.count()) }

// waitIdle returns when the plugin has had no call for a moment, or when ctx
// ends, with its error.
func (s *grpcService) waitIdle(ctx context.Context) error {
	return s.calls.waitQuiet(ctx, drainQuiet)
}

// gracefulStop lets the calls in flight finish, with callbacks and output, then
// ends the session's own streams and the connections. When ctx ends first, it
// stops at once, and returns how many calls it cut off.
//
// A GOAWAY cuts nothing off, and sends a busy client elsewhere. But callbacks
// through a tunnel need new streams: there it has to wait.
func (s *grpcService) gracefulStop(ctx context.Context) (cut int) {
	defer s.stop()
	if s.tunnelled && s.calls.waitQuiet(ctx, 0) != nil {
		return s.calls.count()
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.server.GracefulStop()
	}()
	// What came in before the GOAWAY is still answered.
	if s.calls.waitQuiet(ctx, 0) == nil {
		hasOutput := s.output.count() > 0
		s.end()
		s.awaitStop(ctx, stopped, hasOutput)
	}
	cut = s.calls.count()
	s.server.Stop()
	return cut
}

// awaitStop waits for the last streams to end. A host that does not read the
// output holds up its end, also when all of it was handed to the connection, so
// it is not waited for.
func (s *grpcService) awaitStop(ctx context.Context, stopped <-chan struct{}, hasOutput bool) {
	flush := time.NewTimer(flushTimeout)
	defer flush.Stop()
	select {
	case <-stopped:
	case <-ctx.Done():
	case <-flush.C:
		if hasOutput {
			_ = s.calls.waitQuiet(ctx, 0)
			return
		}
		select {
		case <-stopped:
		case <-ctx.Done():
		}
	}
}

// finishOutput ends the session's own streams, that of the output after what the
// plugin has written by now. A host that does not read is waited for no longer
// than outputWait.
func (s *grpcService) finishOutput() {
	s.end()
	ctx, cancel := context.WithTimeout(context.Background(), outputWait)
	defer cancel()
	_ = s.output.waitQuiet(ctx, 0)
}

// stopAfterHost stops once the hosts have closed their connections, which they do
// when they have read the rest of the output, or after hangUpWait.
func (s *grpcService) stopAfterHost() {
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.server.GracefulStop()
	}()
	wait := time.NewTimer(hangUpWait)
	defer wait.Stop()
	select {
	case <-stopped:
	case <-wait.C:
	}
	s.stop()
}

// hangUpWait is how long a plugin that was asked to end waits for its host to hang
// up. It is less than a host waits for the end.
const hangUpWait = time.Second

// stop ends everything at once. Calls in flight fail.
func (s *grpcService) stop() {
	s.once.Do(func() {
		s.end()
		s.server.Stop()
		_ = s.broker.Close()
		s.health.Shutdown()
		if s.mux != nil {
			_ = s.mux.Shutdown()
		}
	})
}

// controllerService is the service by which a host ends a plugin.
type controllerService struct {
	pluginpb.UnimplementedGRPCControllerServer
	service  *grpcService
	shutdown func()
}

// Shutdown ends the plugin, or the session if that came over the network. What the
// plugin has written is sent before the answer, which may or may not reach the
// host.
func (c *controllerService) Shutdown(context.Context, *pluginpb.Empty) (*pluginpb.Empty, error) {
	c.service.finishOutput()
	if c.shutdown != nil {
		go c.shutdown()
	}
	return &pluginpb.Empty{}, nil
}
