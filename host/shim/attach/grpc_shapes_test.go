// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
)

// connect serves on a socket of its own, and connects to it.
func connect(t *testing.T, options []grpc.ServerOption, register func(*grpc.Server)) *grpc.ClientConn {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(options...)
	register(server)
	served := make(chan error, 1)
	go func() { served <- server.Serve(lis) }()
	conn, err := grpc.NewClient("passthrough:///"+lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return conn
}

func TestUnaryMethods(t *testing.T) {
	// What belongs to gRPC itself is left out, so that there is nothing but a file.
	plugin := connect(t, nil, func(s *grpc.Server) {
		s.RegisterService(&grpc.ServiceDesc{ServiceName: "test.Unknown", HandlerType: (*any)(nil)}, nil)
		grpc_health_v1.RegisterHealthServer(s, health.NewServer())
		reflection.Register(s)
	})
	unary, err := unaryMethods(t.Context(), plugin)
	if len(unary) != 0 || err == nil || !strings.Contains(err.Error(), "service test.Unknown") {
		t.Errorf("of a service without a description: %v and %v", unary, err)
	}
	described := make(map[string]bool)
	if err := describeOn(t, plugin, "grpc.health.v1.Health", described); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"/grpc.health.v1.Health/Check": true, "/grpc.health.v1.Health/List": true, "/grpc.health.v1.Health/Watch": false}
	if diff := cmp.Diff(want, described); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func describeOn(t *testing.T, conn *grpc.ClientConn, service string, unary map[string]bool) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return err
	}
	return describe(stream, service, unary)
}
