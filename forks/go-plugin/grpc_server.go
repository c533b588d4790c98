// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"reflect"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/grpcserve"
	"github.com/hashicorp/go-plugin/internal/listen"
	"github.com/hashicorp/go-plugin/internal/multiplex"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

// GRPCServiceName is the name under which a plugin's health is found with the
// standard gRPC health service.
const GRPCServiceName = grpcconn.HealthName

// DefaultGRPCServer makes a gRPC server of the options, and nothing else. It is
// what most plugins give as [ServeConfig.GRPCServer].
func DefaultGRPCServer(opts []grpc.ServerOption) *grpc.Server { return grpc.NewServer(opts...) }

// factoryOf returns what makes a server, or nil if that is [DefaultGRPCServer]: of such a
// server it is known that it does nothing with calls but run them.
func factoryOf(newServer func([]grpc.ServerOption) *grpc.Server) func([]grpc.ServerOption) *grpc.Server {
	if reflect.ValueOf(newServer).Pointer() == reflect.ValueOf(DefaultGRPCServer).Pointer() {
		return nil
	}
	return newServer
}

// GRPCServer serves plugins over gRPC to the host that started them. It
// implements [ServerProtocol].
type GRPCServer struct {
	// Plugins are the plugins to serve, by dispense name. Each must implement
	// [GRPCPlugin].
	Plugins map[string]Plugin

	// Server makes the server of the options that it is given and must pass on;
	// nil means [DefaultGRPCServer].
	Server func([]grpc.ServerOption) *grpc.Server

	// TLS secures all connections; nil means plaintext.
	TLS *tls.Config

	// DoneCh, if not nil, is closed when Serve has ended.
	DoneCh chan struct{}

	// Stdout and Stderr are copied to the host. They are read as the host takes
	// what was read before.
	Stdout io.Reader
	Stderr io.Reader

	logger hclog.Logger
	around Around
	pipes  stdio.Pipes // that Stdout and Stderr come from; nil where that is not known
	// multiplexer, if not nil, is where brokered connections go. It is the listener to
	// serve on, too.
	multiplexer *multiplex.Plugin
	service     *grpcserve.Service
	source      *stdio.Source
	output      *grpcstdio.Sender // of source
}

// Init makes the server and registers every plugin with it.
func (s *GRPCServer) Init() error {
	if s.logger == nil {
		s.logger = hclog.NewNullLogger()
	}
	s.source = stdio.NewSource(s.Stdout, s.Stderr, s.pipes)
	s.output = grpcstdio.NewSender(s.source.Subscribe)
	s.output.Follow(s.source) // An answer may come before its host has asked for the output.
	cfg := grpcserve.Config{Plugins: grpcPlugins(s.Plugins), NewServer: factoryOf(s.Server), Logger: s.logger, Options: grpcconn.LocalServerOptions(), Around: s.around}
	host := grpcserve.Host{
		Logger: s.logger,
		Broker: broker.Config{
			Transport: broker.Listeners(broker.ListenerConfig{Sockets: listen.SocketsFromEnv()}),
			TLS:       s.TLS,
		},
		Output:     s.output,
		OnShutdown: func() { s.service.StopAfterHost() },
	}
	if s.multiplexer != nil {
		host.Broker.Transport = broker.Multiplexed(s.multiplexer.Session)
		cfg.Stopped = func() { _ = s.multiplexer.Shutdown() }
	}
	if s.TLS != nil {
		cfg.Options = append(cfg.Options, grpc.Creds(s.output.Credentials(credentials.NewTLS(s.TLS))))
	}
	var err error
	s.service, err = grpcserve.New(cfg, &host)
	return err
}

// Serve serves until the server is stopped or lis is closed.
func (s *GRPCServer) Serve(lis net.Listener) {
	if s.DoneCh != nil {
		defer close(s.DoneCh)
	}
	defer s.source.Close()
	defer s.Stop()
	if s.TLS == nil {
		lis = s.output.Listener(lis)
	}
	if err := s.service.Serve(lis); err != nil {
		s.logger.Error("grpc server", "error", err)
	}
}

// Stop ends the server at once. Calls in flight fail. Before Init there is none.
func (s *GRPCServer) Stop() {
	if s.service != nil {
		s.service.Stop()
	}
}

// GracefulStop ends the server when the calls in flight have finished, however
// long that takes. Before Init there is none.
func (s *GRPCServer) GracefulStop() {
	if s.service != nil {
		s.service.GracefulStop(context.Background())
	}
}

// Config returns a [GRPCServerConfig] as JSON.
func (s *GRPCServer) Config() string {
	var buf bytes.Buffer
	// Two strings always encode.
	_ = json.NewEncoder(&buf).Encode(GRPCServerConfig{})
	return buf.String()
}

// GRPCServerConfig is what [GRPCServer.Config] tells the other side. The
// addresses were used by very old releases and are empty.
type GRPCServerConfig struct {
	StdoutAddr string `json:"stdout_addr"`
	StderrAddr string `json:"stderr_addr"`
}
