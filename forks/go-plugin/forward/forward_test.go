// SPDX-License-Identifier: MPL-2.0

package forward

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// checker is a plugin whose contract has a unary method and a stream.
type checker struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (checker) Check(ctx context.Context, in *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	_, deadline := ctx.Deadline()
	_ = grpc.SetHeader(ctx, metadata.Pairs("seen", strings.Join(md["mark"], ",")))
	_ = grpc.SetTrailer(ctx, metadata.Pairs("end", "of it", ownMetadata+"leaving", "1"))
	switch in.GetService() {
	case "details":
		s, err := status.New(codes.ResourceExhausted, "come later").WithDetails(durationpb.New(5))
		if err != nil {
			return nil, err
		}
		return nil, s.Err()
	case "hang":
		if !deadline {
			return nil, errors.New("the caller's deadline is unknown")
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_NOT_SERVING}, nil
}

func (checker) Watch(in *grpc_health_v1.HealthCheckRequest, out grpc_health_v1.Health_WatchServer) error {
	if err := out.SendHeader(metadata.Pairs("seen", in.GetService())); err != nil {
		return err
	}
	for range 3 {
		if err := out.Send(&grpc_health_v1.HealthCheckResponse{Status: grpc_health_v1.HealthCheckResponse_SERVING}); err != nil {
			return err
		}
	}
	return status.Error(codes.Aborted, "enough")
}

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

// forwarded is a connection to a server in front of a checker.
func forwarded(t *testing.T) *grpc.ClientConn {
	plugin := connect(t, nil, func(s *grpc.Server) {
		grpc_health_v1.RegisterHealthServer(s, checker{})
	})
	calls := Calls{To: plugin, IsUnary: func(_ context.Context, method string) bool { return strings.HasSuffix(method, "/Check") }}
	return connect(t, calls.Options(), func(*grpc.Server) {})
}

func TestCall(t *testing.T) {
	client := grpc_health_v1.NewHealthClient(forwarded(t))
	var header, trailer metadata.MD
	ctx := metadata.AppendToOutgoingContext(t.Context(), "mark", "a", "mark", "b")
	answer, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil || answer.GetStatus() != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Fatalf("Check = %v, %v", answer, err)
	}
	got := strings.Join(slices.Concat(header["seen"], trailer["end"], trailer[ownMetadata+"leaving"]), "|")
	if got != "a,b|of it" {
		t.Errorf("header and trailers have %s", got)
	}

	_, err = client.Check(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "details"})
	want := status.New(codes.ResourceExhausted, "come later")
	want, _ = want.WithDetails(durationpb.New(5))
	if got := status.Convert(err).Proto(); !proto.Equal(got, want.Proto()) {
		t.Errorf("the plugin's error is %v, want %v", got, want.Proto())
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50e6)
	defer cancel()
	if _, err := client.Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: "hang"}); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("a call beyond its deadline: %v", err)
	}
}

func TestStream(t *testing.T) {
	stream, err := grpc_health_v1.NewHealthClient(forwarded(t)).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: "x"})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; err == nil; n++ {
		_, err = stream.Recv()
	}
	header, _ := stream.Header()
	if n != 4 || status.Code(err) != codes.Aborted || status.Convert(err).Message() != "enough" || strings.Join(header["seen"], "") != "x" {
		t.Errorf("the stream ended after %d messages with %v, header %v", n-1, err, header)
	}
	if errors.Is(err, io.EOF) {
		t.Error("the plugin's error was lost")
	}
}
