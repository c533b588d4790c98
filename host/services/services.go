// SPDX-License-Identifier: MPL-2.0

// Package services asks a gRPC server by server reflection, which go-plugin registers,
// which services and methods it has.
package services

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// maxServices is of how many services the methods are asked for.
const maxServices = 256

// Service is one of a server's.
type Service struct {
	Name    string // such as commons.Greeter
	Methods []Method
}

// Method is one of a service's.
type Method struct {
	Name string
	// Unary is true of a method that takes one message and answers one.
	Unary bool
}

// List asks for the services but those of gRPC itself, whose names begin with "grpc.". It
// takes as long as ctx allows. With an error some may be known.
func List(ctx context.Context, conn grpc.ClientConnInterface) ([]Service, error) {
	ctx, cancel := context.WithCancel(ctx)
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
	var found []Service
	var errs []error
	names := listed.GetListServicesResponse().GetService()
	for _, s := range names[:min(len(names), maxServices)] {
		if name := s.GetName(); !strings.HasPrefix(name, "grpc.") {
			methods, err := describe(stream, name)
			found, errs = append(found, Service{name, methods}), append(errs, err)
		}
	}
	return found, errors.Join(errs...)
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

// describe asks for the methods of one service.
func describe(stream grpc_reflection_v1.ServerReflection_ServerReflectionInfoClient, service string) ([]Method, error) {
	answer, err := ask(stream, &grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service},
	})
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", service, err)
	}
	var methods []Method
	for _, raw := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := new(descriptorpb.FileDescriptorProto)
		if err := proto.Unmarshal(raw, file); err != nil {
			return nil, fmt.Errorf("service %s: %w", service, err)
		}
		for _, s := range file.GetService() {
			if strings.TrimPrefix(file.GetPackage()+"."+s.GetName(), ".") != service {
				continue
			}
			for _, m := range s.GetMethod() {
				methods = append(methods, Method{m.GetName(), !m.GetClientStreaming() && !m.GetServerStreaming()})
			}
		}
	}
	return methods, nil
}
