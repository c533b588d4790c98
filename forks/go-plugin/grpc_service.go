// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
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
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/multiplex"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

// grpcServiceConfig says what a grpcService serves.
type grpcServiceConfig struct {
	plugins   map[string]Plugin
	newServer func([]grpc.ServerOption) *grpc.Server // nil: DefaultGRPCServer
	options   []grpc.ServerOption                    // credentials, keepalive, timeouts
	// shared makes a service for any number of sessions, see [grpcService.join].
	// Otherwise the fields below are those of its one session.
	shared bool

	transport   broker.Transport  // of brokered connections; nil: listeners
	multiplexer *multiplex.Plugin // instead of transport; the service shuts it down
	brokerWait  time.Duration     // zero: broker.Wait
	tls         *tls.Config       // of brokered connections; nil: plaintext

	maxMessage int               // bounds each message, in bytes; zero leaves it to gRPC
	panicked   panics.Func       // in a method
	output     *grpcstdio.Sender // nil: none is served
	onShutdown func()            // GRPCController.Shutdown is being answered; runs in a goroutine
	logger     hclog.Logger
}

// grpcService is a gRPC server with a plugin's services and the library's own.
// In a child it has one session, which lasts as long as the process; in network
// mode one for each connection that it serves. All methods may be called from any
// goroutine.
type grpcService struct {
	server      *grpc.Server
	health      *health.Server
	multiplexer *multiplex.Plugin
	logger      hclog.Logger

	maxMessage int // bounds the text of an error, see grpcconn.BoundStatus

	broker *GRPCBroker     // what the plugin was given
	main   *grpcSession    // of every connection; nil: sessions are shared's
	shared *sharedSessions // nil: there is only main
	kinds  []hello.Kind    // what the plugin has registered

	calls    calls.Gauge     // of the plugin
	output   calls.Gauge     // hosts that are being sent the output
	leaves   atomic.Bool     // the plugin is about to leave
	ending   context.Context // ends the sessions' own streams
	end      context.CancelFunc
	once     sync.Once
	draining sync.Once
}

// errSameServer is a factory that cannot be called again.
var errSameServer = errors.New("ServeConfig.GRPCServer returns a server that it has returned before")

// newGRPCService makes the server and registers everything. It starts no
// goroutine; one who does not serve it must stop it all the same.
func newGRPCService(cfg grpcServiceConfig) (*grpcService, error) {
	s := &grpcService{health: health.NewServer(), multiplexer: cfg.multiplexer, logger: cfg.logger, maxMessage: cfg.maxMessage}
	s.ending, s.end = context.WithCancel(context.Background())
	// Chained interceptors go beside those of the plugin's own factory.
	supervision := append([]grpc.ServerOption{
		grpc.ChainUnaryInterceptor(s.superviseCall),
		grpc.ChainStreamInterceptor(s.superviseStream),
	}, s.panicInterceptors(&cfg)...)
	bound := grpcconn.ServerBound(cfg.maxMessage)
	if brokered := slices.Concat(bound, supervision); cfg.shared {
		s.shared = newSharedSessions(cfg.logger, brokered)
		s.broker = s.shared.front
	} else {
		s.main = s.newSession(&cfg, brokered)
		s.broker = s.main.broker
	}
	err := s.makeServer(&cfg, slices.Concat(cfg.options, bound, supervision))
	if err == nil {
		err = s.registerPlugins(cfg.plugins)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	s.registerOwn(&cfg)
	return s, nil
}

// makeServer calls the plugin's factory. A server that was registered with before
// can have been served by now, and to register with it again would end the
// process: gRPC does not merely return an error.
func (s *grpcService) makeServer(cfg *grpcServiceConfig, options []grpc.ServerOption) (err error) {
	if cfg.newServer == nil {
		cfg.newServer = DefaultGRPCServer
	}
	defer s.recoverAs(&err, "ServeConfig.GRPCServer")
	server := cfg.newServer(options)
	if server == nil {
		return errors.New("ServeConfig.GRPCServer returns nil")
	}
	if isRegistered(server, pluginpb.GRPCBroker_ServiceDesc.ServiceName) {
		return errSameServer
	}
	s.server = server
	// First of all: it marks the server for the check above.
	pluginpb.RegisterGRPCBrokerServer(server, &brokerService{service: s})
	return nil
}

func isRegistered(server *grpc.Server, service string) bool {
	_, ok := server.GetServiceInfo()[service]
	return ok
}

// recoverAs is deferred around code of the plugin, so that its panic does not take
// the process down, and with it the sessions of other hosts.
func (s *grpcService) recoverAs(err *error, what string) {
	if r := recover(); r != nil {
		s.logger.Error("plugin panics before it serves", "in", what, "panic", panics.Of(r), "stack", string(debug.Stack()))
		*err = fmt.Errorf("%s panics: %s", what, panics.Of(r))
	}
}

// registerOwn registers the library's own services, but for what the plugin serves
// itself: gRPC ends a process that registers a service twice.
func (s *grpcService) registerOwn(cfg *grpcServiceConfig) {
	s.health.SetServingStatus(GRPCServiceName, grpc_health_v1.HealthCheckResponse_SERVING)
	if !isRegistered(s.server, grpc_health_v1.Health_ServiceDesc.ServiceName) {
		grpc_health_v1.RegisterHealthServer(s.server, s.health)
	}
	if !isRegistered(s.server, reflectionv1.ServerReflection_ServiceDesc.ServiceName) &&
		!isRegistered(s.server, reflectionv1alpha.ServerReflection_ServiceDesc.ServiceName) {
		reflection.Register(s.server)
	}
	if cfg.shared || s.tunnelled() {
		pluginpb.RegisterTunnelServer(s.server, &tunnelService{service: s})
	}
	pluginpb.RegisterGRPCControllerServer(s.server, &controllerService{service: s})
	if cfg.shared || cfg.output != nil {
		pluginpb.RegisterGRPCStdioServer(s.server, &stdioService{service: s})
	}
}

// registerPlugins lets each plugin register what it serves, and notes that.
func (s *grpcService) registerPlugins(plugins PluginSet) error {
	for _, name := range slices.Sorted(maps.Keys(plugins)) {
		before := s.server.GetServiceInfo()
		if err := s.register(name, plugins[name]); err != nil {
			return err
		}
		added := s.server.GetServiceInfo()
		maps.DeleteFunc(added, func(service string, _ grpc.ServiceInfo) bool {
			_, old := before[service]
			return old
		})
		s.kinds = append(s.kinds, hello.Kind{Name: name, Methods: describeServices(added)})
	}
	return nil
}

func (s *grpcService) register(name string, p Plugin) (err error) {
	served, ok := p.(GRPCPlugin)
	if !ok {
		return fmt.Errorf("%q is not a GRPC-compatible plugin", name)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("error registering %q: %w", name, err)
		}
	}()
	defer s.recoverAs(&err, "GRPCServer")
	return served.GRPCServer(s.broker, s.server)
}
