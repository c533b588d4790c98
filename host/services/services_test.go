// SPDX-License-Identifier: MPL-2.0

package services_test

import (
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/reattach/reattach/host/services"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// served gives a connection to a server.
func served(t *testing.T, register func(*grpc.Server)) *grpc.ClientConn {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		err := handler(srv, stream)
		if err != nil {
			t.Errorf("the conversation ends with %v, as one that is given up", err)
		}
		return err
	}))
	register(s)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(lis)
	}()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		s.Stop()
		<-done
	})
	return conn
}

// described is a file with a service test.Known.
func described(t *testing.T) *protoregistry.Files {
	t.Helper()
	message, streams := proto.String(".test.Message"), proto.Bool(true)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("known.proto"), Package: proto.String("test"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Message")}},
		Service: []*descriptorpb.ServiceDescriptorProto{
			{Name: proto.String("Known"), Method: []*descriptorpb.MethodDescriptorProto{
				{Name: proto.String("Get"), InputType: message, OutputType: message},
				{Name: proto.String("Put"), InputType: message, OutputType: message, ClientStreaming: streams},
				{Name: proto.String("List"), InputType: message, OutputType: message, ServerStreaming: streams},
			}},
			{Name: proto.String("Other"), Method: []*descriptorpb.MethodDescriptorProto{{Name: proto.String("Get"), InputType: message, OutputType: message}}},
		},
	}, nil)
	files := new(protoregistry.Files)
	if err == nil {
		err = files.RegisterFile(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestList(t *testing.T) {
	known := services.Service{Name: "test.Known", Methods: []services.Method{{"Get", true}, {"Put", false}, {"List", false}}}
	serve := func(s *grpc.Server, names ...string) {
		for _, name := range append(names, "grpc.Own") {
			s.RegisterService(&grpc.ServiceDesc{ServiceName: name, HandlerType: (*any)(nil)}, nil)
		}
		grpc_reflection_v1.RegisterServerReflectionServer(s, reflection.NewServerV1(reflection.ServerOptions{Services: s, DescriptorResolver: described(t)}))
	}
	cases := map[string]struct {
		reason   string
		register func(*grpc.Server)
		want     []services.Service
		err      string
	}{
		"Described": {"what belongs to gRPC itself is left out", func(s *grpc.Server) { serve(s, "test.Known") }, []services.Service{known}, ""},
		"InPart":    {"a service without a description has no methods", func(s *grpc.Server) { serve(s, "test.Known", "test.Unknown") }, []services.Service{known, {Name: "test.Unknown"}}, "service test.Unknown"},
		"None":      {"reflection is not served", func(*grpc.Server) {}, nil, "unknown service"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := services.List(t.Context(), served(t, tc.register))
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}
