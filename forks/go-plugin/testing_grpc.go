// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bytes"
	"context"
	"net"
	"testing"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/listen"
	"github.com/hashicorp/go-plugin/internal/multiplex"
)

// TestGRPCConn serves what register registers, over TCP on the loopback
// address, and returns a connection to it. The caller closes the connection and
// stops the server.
func TestGRPCConn(t testing.TB, register func(*grpc.Server)) (*grpc.ClientConn, *grpc.Server) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	server := grpc.NewServer()
	register(server)
	go func() { _ = server.Serve(lis) }()

	conn, err := grpc.NewClient("passthrough:///"+lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		server.Stop()
		t.Fatalf("start client: %v", err)
	}
	return conn, server
}

// TestPluginGRPCConn serves the plugins over gRPC and returns a client of them.
// With multiplexed, brokered connections go over the one connection. The caller
// closes the client, which stops the server.
func TestPluginGRPCConn(t testing.TB, multiplexed bool, ps map[string]Plugin) (*GRPCClient, *GRPCServer) {
	t.Helper()
	lis, err := listen.Local(listen.Sockets{})
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Debug})
	server := &GRPCServer{
		Plugins: ps,
		Server:  DefaultGRPCServer,
		DoneCh:  make(chan struct{}),
		Stdout:  new(bytes.Buffer),
		Stderr:  new(bytes.Buffer),
		logger:  logger,
	}
	cfg := grpcClientConfig{
		conn: grpcconn.Config{Dial: func(ctx context.Context) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, lis.Addr().Network(), lis.Addr().String())
		}},
		plugins: ps,
		logger:  logger,
		doneCtx: context.Background(),
	}
	served := lis
	if multiplexed {
		server.multiplexer = multiplex.NewPlugin(logger, lis)
		served = server.multiplexer
	}
	if err := server.Init(); err != nil {
		_ = served.Close()
		t.Fatalf("register plugins: %v", err)
	}
	go server.Serve(served)
	if multiplexed {
		multiplexTest(t, &cfg)
	}
	client, err := newGRPCClient(cfg)
	if err != nil {
		server.Stop()
		t.Fatalf("start client: %v", err)
	}
	return client, server
}

// multiplexTest makes the client of a test use one connection for everything.
func multiplexTest(t testing.TB, cfg *grpcClientConfig) {
	t.Helper()
	conn, err := cfg.conn.Dial(context.Background())
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	if cfg.multiplexer, err = multiplex.NewHost(cfg.logger, conn); err != nil {
		t.Fatalf("multiplex: %v", err)
	}
}
