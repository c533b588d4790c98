// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

const (
	// shapesWithin bounds the wait for what a plugin says of its methods.
	shapesWithin = 2 * time.Second
	// maxServices is of how many services the methods are asked for.
	maxServices = 256
)

// unaryMethods asks a plugin by server reflection, which go-plugin registers, which of
// its methods take one message and answer one. Such a call can be sent elsewhere as long
// as it surely was not run; a stream, once it is open, stays where it is. With an error
// some may be known.
func unaryMethods(ctx context.Context, conn grpc.ClientConnInterface) (map[string]bool, error) {
	ctx, cancel := context.WithTimeout(ctx, shapesWithin)
	defer cancel()
	stream, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
	if err != nil {
		return nil, err
	}
	listed, err := ask(stream, &grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{},
	})
	if err != nil {
		return nil, err
	}
	unary := make(map[string]bool)
	var errs []error
	services := listed.GetListServicesResponse().GetService()
	for _, s := range services[:min(len(services), maxServices)] {
		if name := s.GetName(); !strings.HasPrefix(name, "grpc.") {
			errs = append(errs, describe(stream, name, unary))
		}
	}
	return unary, errors.Join(errs...)
}

func ask(stream grpc_reflection_v1.ServerReflection_ServerReflectionInfoClient, request *grpc_reflection_v1.ServerReflectionRequest) (*grpc_reflection_v1.ServerReflectionResponse, error) {
	if err := stream.Send(request); err != nil {
		return nil, err
	}
	answer, err := stream.Recv()
	if err != nil {
		return nil, err
	}
	if failed := answer.GetErrorResponse(); failed != nil {
		return nil, errors.New(failed.GetErrorMessage())
	}
	return answer, nil
}

// describe adds the methods of one service.
func describe(stream grpc_reflection_v1.ServerReflection_ServerReflectionInfoClient, service string, unary map[string]bool) error {
	answer, err := ask(stream, &grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service},
	})
	if err != nil {
		return fmt.Errorf("service %s: %w", service, err)
	}
	for _, raw := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := new(descriptorpb.FileDescriptorProto)
		if err := proto.Unmarshal(raw, file); err != nil {
			return fmt.Errorf("service %s: %w", service, err)
		}
		for _, s := range file.GetService() {
			for _, m := range s.GetMethod() {
				name := "/" + strings.TrimPrefix(file.GetPackage()+"."+s.GetName(), ".") + "/" + m.GetName()
				unary[name] = !m.GetClientStreaming() && !m.GetServerStreaming()
			}
		}
	}
	return nil
}
