// SPDX-License-Identifier: MPL-2.0

package services

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// What a plugin may say of itself.
const (
	maxServices = 256
	maxFiles    = 1024
	maxFileSize = 16 << 20 // bytes, of all files together
)

// maxEnd is how long a server may take to end a conversation that the host has ended.
const maxEnd = time.Second

var errTooMuch = errors.New("the plugin describes more than this host takes in")

// reflection is one conversation with a server.
type reflection struct {
	stream grpc.ClientStream
	asked  int // for files
	size   int // of files, in bytes
}

// reflect asks for the names of the server's own services, all but those of gRPC and
// go-plugin, and has use ask for more. Servers of old versions of grpc-go have only v1alpha
// of reflection, whose messages are the same. The error of a server that has none is gRPC's
// Unimplemented.
func reflect(ctx context.Context, conn grpc.ClientConnInterface, use func(r *reflection, services []string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream of a server that does not end it
	r, names, err := begin(ctx, conn, "v1")
	if status.Code(err) == codes.Unimplemented {
		r, names, err = begin(ctx, conn, "v1alpha")
	}
	if err != nil {
		return err
	}
	err = use(r, names)
	r.end(cancel)
	return err
}

// end has the server end the conversation, so that neither side sees a call that was given
// up. A server that does not is left by cancel.
func (r *reflection) end(cancel func()) {
	defer time.AfterFunc(maxEnd, cancel).Stop()
	if r.stream.CloseSend() == nil {
		_ = r.stream.RecvMsg(new(grpc_reflection_v1.ServerReflectionResponse))
	}
}

func begin(ctx context.Context, conn grpc.ClientConnInterface, version string) (*reflection, []string, error) {
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/grpc.reflection."+version+".ServerReflection/ServerReflectionInfo")
	if err != nil {
		return nil, nil, err
	}
	r := &reflection{stream: stream}
	listed, err := r.ask(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}})
	if err != nil {
		return nil, nil, err
	}
	var names []string
	for _, s := range listed.GetListServicesResponse().GetService() {
		foreign := func(prefix string) bool { return strings.HasPrefix(s.GetName(), prefix) }
		if !slices.ContainsFunc([]string{"grpc.", "plugin.", "reattach.v1."}, foreign) {
			names = append(names, s.GetName())
		}
	}
	if len(names) > maxServices {
		return nil, nil, errTooMuch
	}
	return r, names, nil
}

// ask asks one question.
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

// declaring asks for the file that declares a service, with which others may come.
func (r *reflection) declaring(service string) ([]*descriptorpb.FileDescriptorProto, error) {
	found, err := r.askFiles(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service},
	})
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", service, err)
	}
	return found, nil
}

// named asks for the file of a name, with which others may come.
func (r *reflection) named(name string) ([]*descriptorpb.FileDescriptorProto, error) {
	found, err := r.askFiles(&grpc_reflection_v1.ServerReflectionRequest{
		MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_FileByFilename{FileByFilename: name},
	})
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", name, err)
	}
	return found, nil
}

func (r *reflection) askFiles(request *grpc_reflection_v1.ServerReflectionRequest) ([]*descriptorpb.FileDescriptorProto, error) {
	if r.asked++; r.asked > maxServices+maxFiles {
		return nil, errTooMuch
	}
	answer, err := r.ask(request)
	if err != nil {
		return nil, err
	}
	var found []*descriptorpb.FileDescriptorProto
	for _, raw := range answer.GetFileDescriptorResponse().GetFileDescriptorProto() {
		if r.size += len(raw); r.size > maxFileSize {
			return nil, errTooMuch
		}
		file := new(descriptorpb.FileDescriptorProto)
		if err := proto.Unmarshal(raw, file); err != nil {
			return nil, err
		}
		// Package protodesc panics on some of those that it does not know.
		if edition := file.GetEdition(); edition < 0 || edition > descriptorpb.Edition_EDITION_2024 {
			return nil, fmt.Errorf("file %s is of edition %d, which this host does not know", file.GetName(), edition)
		}
		found = append(found, file)
	}
	return found, nil
}
