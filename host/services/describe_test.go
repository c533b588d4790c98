// SPDX-License-Identifier: MPL-2.0

package services_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/reattach/reattach/host/services"
)

// stranger answers each question for a file as it likes.
type stranger struct {
	grpc_reflection_v1.UnimplementedServerReflectionServer
	files func(*grpc_reflection_v1.ServerReflectionRequest) []*descriptorpb.FileDescriptorProto
}

func (s stranger) ServerReflectionInfo(stream grpc_reflection_v1.ServerReflection_ServerReflectionInfoServer) error {
	for {
		asked, err := stream.Recv()
		if err != nil {
			return nil // the client has left
		}
		answer := new(grpc_reflection_v1.ServerReflectionResponse)
		if _, lists := asked.GetMessageRequest().(*grpc_reflection_v1.ServerReflectionRequest_ListServices); lists {
			answer.MessageResponse = &grpc_reflection_v1.ServerReflectionResponse_ListServicesResponse{ListServicesResponse: &grpc_reflection_v1.ListServiceResponse{
				Service: []*grpc_reflection_v1.ServiceResponse{{Name: "test.Strange"}},
			}}
		} else {
			var raw [][]byte
			for _, file := range s.files(asked) {
				one, err := proto.Marshal(file)
				if err != nil {
					return err
				}
				raw = append(raw, one)
			}
			answer.MessageResponse = &grpc_reflection_v1.ServerReflectionResponse_FileDescriptorResponse{
				FileDescriptorResponse: &grpc_reflection_v1.FileDescriptorResponse{FileDescriptorProto: raw},
			}
		}
		if err := stream.Send(answer); err != nil {
			return nil // the client has left
		}
	}
}

// strange is a file with the service test.Strange, whose one message is as it is told.
func strange(message string, imports ...string) *descriptorpb.FileDescriptorProto {
	return &descriptorpb.FileDescriptorProto{
		Name: proto.String("strange.proto"), Package: proto.String("test"), Syntax: proto.String("proto3"), Dependency: imports,
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Strange"), Method: []*descriptorpb.MethodDescriptorProto{
			{Name: proto.String("Get"), InputType: proto.String(message), OutputType: proto.String(message)},
		}}},
	}
}

// forged is a file with a message google.protobuf.Timestamp that is none.
func forged(path string) *descriptorpb.FileDescriptorProto {
	return &descriptorpb.FileDescriptorProto{
		Name: proto.String(path), Package: proto.String("google.protobuf"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Timestamp"), Field: []*descriptorpb.FieldDescriptorProto{{
			Name: proto.String("seconds"), Number: proto.Int32(1),
			Type: descriptorpb.FieldDescriptorProto_TYPE_STRING.Enum(), Label: descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL.Enum(),
		}}}},
	}
}

// TestStrangeFiles holds that what a plugin says of itself is bounded, and cannot make of
// the messages that package protojson knows by name what they are not.
func TestStrangeFiles(t *testing.T) {
	const own = "google/protobuf/timestamp.proto"
	asked := 0
	edition := strange(".test.Message")
	edition.Name, edition.Syntax = proto.String("cmd/protoc-gen-go/testdata/a.proto"), proto.String("editions")
	edition.Edition = descriptorpb.Edition(12345).Enum()
	many := make([]string, 100_000)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for name, tc := range map[string]struct {
		files func(*grpc_reflection_v1.ServerReflectionRequest) []*descriptorpb.FileDescriptorProto
		err   string
	}{
		"ForgedElsewhere": {func(*grpc_reflection_v1.ServerReflectionRequest) []*descriptorpb.FileDescriptorProto {
			return []*descriptorpb.FileDescriptorProto{strange(".google.protobuf.Timestamp", "forged.proto"), forged("forged.proto")}
		}, "google.protobuf.Timestamp"},
		"ForgedInPlace": {func(*grpc_reflection_v1.ServerReflectionRequest) []*descriptorpb.FileDescriptorProto {
			return []*descriptorpb.FileDescriptorProto{strange(".google.protobuf.Timestamp", own), forged(own)}
		}, ""},
		"UnknownEdition": {func(*grpc_reflection_v1.ServerReflectionRequest) []*descriptorpb.FileDescriptorProto {
			return []*descriptorpb.FileDescriptorProto{edition}
		}, "edition 12345"},
		"EndlessImports": {func(r *grpc_reflection_v1.ServerReflectionRequest) []*descriptorpb.FileDescriptorProto {
			if r.GetFileByFilename() == "" {
				return []*descriptorpb.FileDescriptorProto{strange(".test.Message", "1")}
			}
			asked++
			next := strange(".test.Message", fmt.Sprint(asked+1))
			next.Name = proto.String(r.GetFileByFilename())
			return []*descriptorpb.FileDescriptorProto{next}
		}, "more than this host takes in"},
		"ImportsOfNothing": {func(r *grpc_reflection_v1.ServerReflectionRequest) []*descriptorpb.FileDescriptorProto {
			if r.GetFileByFilename() != "" {
				return nil
			}
			return []*descriptorpb.FileDescriptorProto{strange(".test.Message", many...)}
		}, "more than this host takes in"},
	} {
		t.Run(name, func(t *testing.T) {
			conn := served(t, func(s *grpc.Server) { grpc_reflection_v1.RegisterServerReflectionServer(s, stranger{files: tc.files}) })
			found, err := services.Describe(t.Context(), conn)
			switch {
			case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("%v, want %q", err, tc.err)
			case tc.err == "" && err != nil:
				t.Error(err)
			case tc.err == "":
				got := found[0].Methods().Get(0).Output().Fields().ByName("seconds").Kind()
				if want := (*timestamppb.Timestamp)(nil).ProtoReflect().Descriptor().Fields().ByName("seconds").Kind(); got != want {
					t.Errorf("seconds is of kind %s, want %s", got, want)
				}
			}
		})
	}
}
