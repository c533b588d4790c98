// SPDX-License-Identifier: MPL-2.0

package dynamic

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// What a plugin may say of itself.
const (
	maxServices = 256
	maxFiles    = 1024
	maxFileSize = 16 << 20 // bytes, of all files together
)

var errTooMuch = errors.New("the plugin describes more than this host takes in")

// reflectServices asks for the plugin's own services: all but those of gRPC and go-plugin,
// ordered by name. Servers of old versions of grpc-go have only v1alpha of reflection, whose
// messages are the same.
func reflectServices(ctx context.Context, conn grpc.ClientConnInterface) ([]protoreflect.ServiceDescriptor, error) {
	var err error
	for _, version := range []string{"v1", "v1alpha"} {
		var found []protoreflect.ServiceDescriptor
		found, err = reflectBy(ctx, conn, version)
		if status.Code(err) != codes.Unimplemented {
			return found, err
		}
	}
	return nil, fmt.Errorf("it has no server reflection: give its contract.json: %w", err)
}

func reflectBy(ctx context.Context, conn grpc.ClientConnInterface, version string) ([]protoreflect.ServiceDescriptor, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream
	raw, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/grpc.reflection."+version+".ServerReflection/ServerReflectionInfo")
	if err != nil {
		return nil, err
	}
	r := &reflection{stream: raw, files: make(map[string]*descriptorpb.FileDescriptorProto)}
	listed, err := r.ask(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, s := range listed.GetListServicesResponse().GetService() {
		if name := s.GetName(); !strings.HasPrefix(name, "grpc.") && !strings.HasPrefix(name, "plugin.") && !strings.HasPrefix(name, "reattach.v1.") {
			names = append(names, name)
		}
	}
	if len(names) > maxServices {
		return nil, errTooMuch
	}
	for _, name := range names {
		if err := r.load(&grpc_reflection_v1.ServerReflectionRequest{
			MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: name},
		}); err != nil {
			return nil, fmt.Errorf("service %s: %w", name, err)
		}
	}
	return r.services(names)
}

// reflection is one conversation.
type reflection struct {
	stream grpc.ClientStream
	files  map[string]*descriptorpb.FileDescriptorProto
	size   int
}

func (r *reflection) ask(request *grpc_reflection_v1.ServerReflectionRequest) (*grpc_reflection_v1.ServerReflectionResponse, error) {
	answer := new(grpc_reflection_v1.ServerReflectionResponse)
	err := r.stream.SendMsg(request)
	if err == nil || errors.Is(err, io.EOF) {
		err = r.stream.RecvMsg(answer) // which says why the stream has ended
	}
	if err != nil {
		return nil, err
	}
	if failed := answer.GetErrorResponse(); failed != nil {
		return nil, errors.New(failed.GetErrorMessage())
	}
	return answer, nil
}

// load takes in the files of an answer, and those that they import.
func (r *reflection) load(request *grpc_reflection_v1.ServerReflectionRequest) error {
	answer, err := r.ask(request)
	if err != nil {
		return err
	}
	var imports []string
	for _, raw := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		file := new(descriptorpb.FileDescriptorProto)
		if err := proto.Unmarshal(raw, file); err != nil {
			return err
		}
		if r.files[file.GetName()] == nil {
			r.files[file.GetName()] = file
			r.size += len(raw)
			imports = append(imports, file.GetDependency()...)
		}
	}
	if len(r.files) > maxFiles || r.size > maxFileSize {
		return errTooMuch
	}
	for _, name := range imports {
		if r.files[name] != nil {
			continue
		}
		if known, err := protoregistry.GlobalFiles.FindFileByPath(name); err == nil && strings.HasPrefix(name, "google/protobuf/") {
			r.files[name] = protodesc.ToFileDescriptorProto(known)
			continue
		}
		if err := r.load(&grpc_reflection_v1.ServerReflectionRequest{
			MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileByFilename{FileByFilename: name},
		}); err != nil {
			return fmt.Errorf("file %s: %w", name, err)
		}
	}
	return nil
}

// services gives those of the names.
func (r *reflection) services(names []string) ([]protoreflect.ServiceDescriptor, error) {
	set := new(descriptorpb.FileDescriptorSet)
	for _, file := range r.files {
		set.File = append(set.File, file)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, err
	}
	found := make([]protoreflect.ServiceDescriptor, 0, len(names))
	for _, name := range names {
		d, err := files.FindDescriptorByName(protoreflect.FullName(name))
		if err != nil {
			return nil, fmt.Errorf("service %s: %w", name, err)
		}
		if s, ok := d.(protoreflect.ServiceDescriptor); ok {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b protoreflect.ServiceDescriptor) int { return cmp.Compare(a.FullName(), b.FullName()) })
	return found, nil
}
