// SPDX-License-Identifier: MPL-2.0

// Package grpcserve serves a plugin over gRPC: what the plugin registers, beside the
// services of its sessions with hosts. In a child there is one session, which lasts as
// long as the process; in network mode each connection is one.
package grpcserve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionv1alpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/grpcmux"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

// Config says what is served, to whichever host.
type Config struct {
	// Plugins are registered in this order.
	Plugins []Plugin
	// NewServer makes the server of the options, which it must pass on; nil:
	// grpc.NewServer does.
	NewServer func([]grpc.ServerOption) *grpc.Server
	// Options are those of the connections: credentials, keepalive, timeouts.
	Options []grpc.ServerOption
	// Codec is that of all messages, where NewServer is nil; nil: that of protobuf.
	Codec encoding.CodecV2
	// MaxMessage bounds each message, in bytes; zero leaves it to gRPC.
	MaxMessage int
	// Panicked answers a panic in a call that belongs to no session: what the plugin
	// serves on a brokered connection of a shared service. Host has that for all other
	// calls. Nil: any panic ends the process.
	Panicked panics.Func
	// Around runs each call of the plugin's; nil: nothing is around it.
	Around calls.Around
	// Health, if not nil, makes what answers for the service's health in the place of own,
	// and the server describes itself to nobody: the calls are another's.
	Health func(own *health.Server) grpc_health_v1.HealthServer
	// Stopped, if not nil, is called when the service was stopped.
	Stopped func()
	Logger  hclog.Logger
}

// Plugin is one kind that is served.
type Plugin struct {
	Name string // by which it is dispensed
	// Register registers its services. The broker is the host's that calls. Nil: the
	// plugin is not made for gRPC, and cannot be served.
	Register func(*broker.Broker, *grpc.Server) error
}

// Service is a gRPC server with a plugin's services and the library's own. All methods
// may be called from any goroutine.
type Service struct {
	cfg    Config
	asker  hclog.Logger // of the host for which the plugin is asked
	server *grpc.Server
	health *health.Server

	brokered []grpc.ServerOption // of what is served on brokers
	shown    *grpcmux.Methods    // that the server has run; nil: it may do more than run them
	broker   *broker.Broker      // what the plugin was given
	main     *Session            // of every connection; nil: sessions are shared's
	shared   *sharedSessions     // nil: there is only main
	kinds    []hello.Kind        // what the plugin has registered; nil if there is main

	calls    calls.Gauge     // of the plugin
	output   calls.Gauge     // hosts that are being sent the output
	ending   context.Context // ends the sessions' own streams
	end      context.CancelFunc
	stopping sync.Once
	draining sync.Once

	onMux     calls.Gauge // calls that did not come by HTTP/2, with the sessions' own
	muxClosed atomic.Bool // no more of them begin
}

// errSameServer is a factory that cannot be called again.
var errSameServer = errors.New("ServeConfig.GRPCServer returns a server that it has returned before")

// New makes the server and registers everything, for a host that has the service to
// itself. It starts no goroutine. The caller stops
// it, whether it is served or not.
func New(cfg Config, host *Host) (*Service, error) { return newService(cfg, host, host.Logger) }

// newService does so for any number of hosts that share the service if host is nil.
func newService(cfg Config, host *Host, asker hclog.Logger) (*Service, error) {
	s := &Service{cfg: cfg, asker: asker, health: health.NewServer()}
	s.ending, s.end = context.WithCancel(context.Background())
	// Chained interceptors go beside those of the plugin's own factory.
	unary := []grpc.UnaryServerInterceptor{s.superviseCall}
	stream := []grpc.StreamServerInterceptor{s.superviseStream}
	if cfg.Panicked != nil {
		unary = append(unary, grpcconn.AnswerUnaryPanics(s.panicked))
		stream = append(stream, grpcconn.AnswerStreamPanics(s.panicked))
	}
	if cfg.Around != nil {
		unary = append(unary, grpcconn.AroundUnary(cfg.Around))
		stream = append(stream, grpcconn.AroundStream(cfg.Around))
	}
	bound := grpcconn.ServerBound(cfg.MaxMessage)
	s.brokered = append(slices.Clip(bound), grpc.ChainUnaryInterceptor(unary...), grpc.ChainStreamInterceptor(stream...))
	if host != nil {
		s.main = s.newSession(*host)
		s.broker = s.main.broker
	} else {
		s.shared = newSharedSessions(cfg.Logger, s.brokered)
		s.broker = s.shared.front
	}
	if cfg.Codec != nil {
		cfg.Options = append(slices.Clip(cfg.Options), grpc.ForceServerCodecV2(cfg.Codec))
	}
	options := slices.Concat(cfg.Options, s.brokered)
	switch onMux := host == nil || host.Mux != nil; {
	case onMux && cfg.NewServer == nil:
		s.shown = &grpcmux.Methods{Unary: unary, Stream: stream, MaxMessage: cfg.MaxMessage, Codec: cfg.Codec}
		options = slices.Concat(cfg.Options, bound, s.shown.Options())
	case onMux:
		// A goroutine that has a stack of the size that calls need: without HTTP/2 beneath,
		// to grow one for each was a fifth of a call.
		options = append(options, grpc.NumStreamWorkers(1))
	}
	err := s.makeServer(options)
	if err == nil {
		err = s.registerPlugins()
	}
	if err != nil {
		s.Stop()
		return nil, err
	}
	s.registerOwn()
	return s, nil
}

// makeServer calls the plugin's factory. A server that was registered with before
// can have been served by now, and to register with it again would end the
// process: gRPC does not merely return an error.
func (s *Service) makeServer(options []grpc.ServerOption) (err error) {
	if s.cfg.NewServer == nil {
		s.server = grpc.NewServer(options...)
	} else {
		defer s.recoverAs(&err, "ServeConfig.GRPCServer")
		server := s.cfg.NewServer(options)
		if server == nil {
			return errors.New("ServeConfig.GRPCServer returns nil")
		}
		if isRegistered(server, pluginpb.GRPCBroker_ServiceDesc.ServiceName) {
			return errSameServer
		}
		s.server = server
	}
	// First of all: it marks the server for the check above.
	pluginpb.RegisterGRPCBrokerServer(s.server, &ownServices{service: s})
	return nil
}

func isRegistered(server *grpc.Server, service string) bool {
	_, ok := server.GetServiceInfo()[service]
	return ok
}

// recoverAs is deferred around code of the plugin, so that its panic does not take
// the process down, and with it the sessions of other hosts.
func (s *Service) recoverAs(err *error, what string) {
	if r := recover(); r != nil {
		s.asker.Error("plugin panics before it serves", "in", what, "panic", panics.Of(r), "stack", string(debug.Stack()))
		*err = fmt.Errorf("%s panics: %s", what, panics.Of(r))
	}
}

// registerOwn registers the library's own services, but for what the plugin serves
// itself: gRPC ends a process that registers a service twice.
func (s *Service) registerOwn() {
	own := &ownServices{service: s}
	s.health.SetServingStatus(grpcconn.HealthName, grpc_health_v1.HealthCheckResponse_SERVING)
	var health grpc_health_v1.HealthServer = s.health
	if s.cfg.Health != nil {
		health = s.cfg.Health(s.health)
	}
	if !isRegistered(s.server, grpc_health_v1.Health_ServiceDesc.ServiceName) {
		grpc_health_v1.RegisterHealthServer(s.server, health)
	}
	if s.cfg.Health == nil && !isRegistered(s.server, reflectionv1.ServerReflection_ServiceDesc.ServiceName) &&
		!isRegistered(s.server, reflectionv1alpha.ServerReflection_ServiceDesc.ServiceName) {
		reflection.Register(s.server)
	}
	pluginpb.RegisterGRPCControllerServer(s.server, own)
	if s.shared != nil || s.main.host.Output != nil {
		pluginpb.RegisterGRPCStdioServer(s.server, own)
	}
}

// registerPlugins lets each plugin register what it serves. The first service of a network
// plugin, which sessions share, notes what that is.
func (s *Service) registerPlugins() error {
	var before map[string]grpc.ServiceInfo
	for _, p := range s.cfg.Plugins {
		if p.Register == nil {
			return fmt.Errorf("%q is not a GRPC-compatible plugin", p.Name)
		}
		if s.shared != nil {
			before = s.server.GetServiceInfo()
		}
		if err := s.register(p); err != nil {
			return fmt.Errorf("error registering %q: %w", p.Name, err)
		}
		if s.shared != nil {
			s.kinds = append(s.kinds, hello.Kind{Name: p.Name, Methods: describe(s.addedTo(before))})
		}
	}
	return nil
}

// addedTo gives the services that were registered since there were those before.
func (s *Service) addedTo(before map[string]grpc.ServiceInfo) map[string]grpc.ServiceInfo {
	added := s.server.GetServiceInfo()
	maps.DeleteFunc(added, func(service string, _ grpc.ServiceInfo) bool {
		_, old := before[service]
		return old
	})
	return added
}

func (s *Service) register(p Plugin) (err error) {
	defer s.recoverAs(&err, "GRPCServer")
	return p.Register(s.broker, s.server)
}
