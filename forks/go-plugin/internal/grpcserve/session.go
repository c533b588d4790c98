// SPDX-License-Identifier: MPL-2.0

package grpcserve

import (
	"context"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

// Host says what one host gets of a service.
type Host struct {
	// Logger is told what concerns this host. In network mode it bounds what hosts can
	// cause.
	Logger hclog.Logger
	// Broker is how its brokered connections are made. The service adds the logger, and
	// the options of what is served on them.
	Broker broker.Config
	// Output sends it the plugin's output; nil: the host wants none.
	Output *grpcstdio.Sender
	// Mux is how the session is served with the feature mux; nil: by HTTP/2.
	Mux *Mux
	// OnShutdown is called in a goroutine of its own when the host has asked for the
	// end; nil: nothing is.
	OnShutdown func()
	// Panicked answers a panic in a method that the host has called. It is nil if
	// Config's is.
	Panicked panics.Func
}

// Session is what one host has of a service.
type Session struct {
	service *Service
	host    Host
	broker  *broker.Broker
	conn    *servedConn   // nil: any connection is the host's
	mux     *mux.Plugin   // instead of conn
	muxed   chan struct{} // closed when there is mux
	peer    *peer.Peer    // with mux

	calls  calls.Gauge     // of the plugin, if the service is shared
	ending context.Context // ends the session's own streams
	end    context.CancelFunc
}

func (s *Service) newSession(host Host) *Session {
	session := &Session{service: s, host: host, muxed: make(chan struct{})}
	if host.Mux != nil {
		host.Broker.Transport, host.Broker.TLS = broker.Streams(session.dial), nil
	}
	host.Broker.Logger, host.Broker.ServerOptions = host.Logger.Named("broker"), s.brokered
	if s.shared != nil {
		host.Broker.Group = s.shared.group
	}
	session.broker = broker.New(host.Broker)
	session.ending, session.end = s.ending, s.end
	if s.shared != nil {
		session.ending, session.end = context.WithCancel(s.ending)
	}
	return session
}

func (s *Session) close() {
	s.end()
	s.broker.Close()
}

// session returns the session of a call, or nil for a call on a brokered
// connection of a shared service.
func (s *Service) session(ctx context.Context) *Session {
	if s.shared == nil {
		return s.main
	}
	if session, ok := ctx.Value(sessionKey{}).(*Session); ok {
		return session
	}
	return s.shared.find(ctx)
}

// panicked answers panics as the session of the call says.
func (s *Service) panicked(ctx context.Context) panics.Func {
	if session := s.session(ctx); session != nil {
		return session.host.Panicked
	}
	return s.cfg.Panicked
}

// ownServices are the library's services for the sessions of a service.
type ownServices struct {
	pluginpb.UnimplementedGRPCBrokerServer
	pluginpb.UnimplementedGRPCControllerServer
	pluginpb.UnimplementedGRPCStdioServer
	service *Service
}

// errNotAgreed is what a host gets for a service that its session does not have.
func errNotAgreed(what string) error {
	return status.Error(codes.Unimplemented, what+" is not part of this session")
}

// StartStream serves one link of the brokers until the host closes it. The plugin's
// broker lives on.
func (o *ownServices) StartStream(stream pluginpb.GRPCBroker_StartStreamServer) error {
	if session := o.service.session(stream.Context()); session != nil {
		return session.broker.ServeLink(stream)
	}
	return errNotAgreed("the broker")
}

// Shutdown ends the plugin, or the session if that came over the network. What the
// plugin has written is sent before the answer, which may or may not reach the
// host.
func (o *ownServices) Shutdown(ctx context.Context, _ *pluginpb.Empty) (*pluginpb.Empty, error) {
	session := o.service.session(ctx)
	if session == nil {
		return nil, errNotAgreed("the controller")
	}
	session.end()
	switch {
	case session.mux != nil:
		session.finishMux(ctx)
	case session.host.Output != nil:
		session.host.Output.AwaitSent()
	}
	if session.host.OnShutdown != nil {
		go session.host.OnShutdown()
	}
	return &pluginpb.Empty{}, nil
}

// StreamStdio streams the plugin's output until the host hangs up or there is no more.
// When the session ends, that is once what was written before has been sent.
func (o *ownServices) StreamStdio(_ *emptypb.Empty, stream pluginpb.GRPCStdio_StreamStdioServer) error {
	if session := o.service.session(stream.Context()); session != nil && session.host.Output != nil {
		return session.host.Output.Send(stream, session.ending)
	}
	return errNotAgreed("the plugin's output")
}
