// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/calls"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/panics"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

// grpcSession is what one host has of a grpcService.
type grpcSession struct {
	broker     *GRPCBroker
	output     *grpcstdio.Sender // nil: the host wants none
	onShutdown func()
	panicked   panics.Func

	calls  calls.Gauge     // of the plugin, if the service is shared
	ending context.Context // ends the session's own streams
	end    context.CancelFunc
}

// newSession makes a session of cfg's fields. What its broker serves has the options.
func (s *grpcService) newSession(cfg *grpcServiceConfig, brokered []grpc.ServerOption) *grpcSession {
	session := &grpcSession{output: cfg.output, onShutdown: cfg.onShutdown, panicked: cfg.panicked}
	var group *broker.Group
	if s.shared != nil {
		group = s.shared.group
	}
	session.broker = cfg.newBroker(group, brokered)
	session.ending, session.end = context.WithCancel(s.ending)
	return session
}

func (g *grpcSession) close() {
	g.end()
	_ = g.broker.Close()
}

// finishOutput ends the session's own streams, that of the output after what the
// plugin has written by now. A host that does not read is waited for no longer
// than stdio.FlushTimeout.
func (g *grpcSession) finishOutput() {
	g.end()
	if g.output != nil {
		g.output.AwaitSent()
	}
}

// session returns the session of a call, or nil for a call on a brokered
// connection of a shared service.
func (s *grpcService) session(ctx context.Context) *grpcSession {
	if s.shared == nil {
		return s.main
	}
	return s.shared.find(ctx)
}

// tunnelled reports whether callbacks need new streams of a host's connection.
func (s *grpcService) tunnelled() bool {
	if s.shared == nil {
		return s.main.broker.engine.Tunnelled()
	}
	return s.shared.tunnelled()
}

// panicInterceptors answer panics as the session of the call says, or as cfg says for
// what belongs to no session. If that is nothing, there are none.
func (s *grpcService) panicInterceptors(cfg *grpcServiceConfig) []grpc.ServerOption {
	p := cfg.panicked
	if p == nil || !cfg.shared {
		return grpcconn.AnswerPanics(p)
	}
	return grpcconn.AnswerPanicsOf(func(ctx context.Context) panics.Func {
		if session := s.session(ctx); session != nil {
			return session.panicked
		}
		return p
	})
}

// errNotAgreed is what a host gets for a service that its session does not have.
func errNotAgreed(what string) error {
	return status.Error(codes.Unimplemented, what+" is not part of this session")
}

// brokerService is the plugin's side of the brokers' links.
type brokerService struct {
	pluginpb.UnimplementedGRPCBrokerServer
	service *grpcService
}

// StartStream serves one link until the host closes it. The broker lives on.
func (b *brokerService) StartStream(stream pluginpb.GRPCBroker_StartStreamServer) error {
	session := b.service.session(stream.Context())
	if session == nil {
		return errNotAgreed("the broker")
	}
	return session.broker.engine.ServeLink(stream)
}

// tunnelService brings each session's streams to its own end of the tunnel.
type tunnelService struct {
	pluginpb.UnimplementedTunnelServer
	service *grpcService
}

// Open serves one stream until both its ends have closed.
func (t *tunnelService) Open(stream pluginpb.Tunnel_OpenServer) error {
	session := t.service.session(stream.Context())
	if session == nil {
		return errNotAgreed("the tunnel")
	}
	return session.broker.engine.ServeTunnel(stream)
}

// controllerService is the service by which a host ends a plugin.
type controllerService struct {
	pluginpb.UnimplementedGRPCControllerServer
	service *grpcService
}

// Shutdown ends the plugin, or the session if that came over the network. What the
// plugin has written is sent before the answer, which may or may not reach the
// host.
func (c *controllerService) Shutdown(ctx context.Context, _ *pluginpb.Empty) (*pluginpb.Empty, error) {
	session := c.service.session(ctx)
	if session == nil {
		return nil, errNotAgreed("the controller")
	}
	session.finishOutput()
	if session.onShutdown != nil {
		go session.onShutdown()
	}
	return &pluginpb.Empty{}, nil
}

// stdioService streams the plugin's output to its hosts.
type stdioService struct {
	pluginpb.UnimplementedGRPCStdioServer
	service *grpcService
}

// StreamStdio streams until the host hangs up or there is no more output. When
// the session ends, that is once what was written before has been sent.
func (s *stdioService) StreamStdio(_ *emptypb.Empty, stream pluginpb.GRPCStdio_StreamStdioServer) error {
	session := s.service.session(stream.Context())
	if session == nil || session.output == nil {
		return errNotAgreed("the plugin's output")
	}
	return session.output.Send(stream, session.ending)
}
