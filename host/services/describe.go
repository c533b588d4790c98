// SPDX-License-Identifier: MPL-2.0

package services

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/reattach/reattach/host/messages"
)

// Describe asks for the services with all messages of their methods, ordered by name. It
// takes as long as ctx allows. The error of a server without reflection is gRPC's
// Unimplemented.
func Describe(ctx context.Context, conn grpc.ClientConnInterface) ([]protoreflect.ServiceDescriptor, error) {
	var found []protoreflect.ServiceDescriptor
	err := reflect(ctx, conn, func(r *reflection, names []string) error {
		all := make(fileSet)
		for _, known := range wellKnown() {
			all[known.Path()] = protodesc.ToFileDescriptorProto(known)
		}
		for _, name := range names {
			files, err := r.declaring(name)
			if err == nil {
				err = all.add(r, files)
			}
			if err != nil {
				return err
			}
		}
		var err error
		found, err = all.services(names)
		return err
	})
	return found, err
}

// wellKnown are the files that a plugin cannot describe anew: those with the messages that
// JSON has forms of their own for, of which package protojson goes by the names alone, and
// that of descriptors, which not every plugin can show.
func wellKnown() []protoreflect.FileDescriptor {
	return append(messages.Files(), descriptorpb.File_google_protobuf_descriptor_proto)
}

// fileSet has files by their names.
type fileSet map[string]*descriptorpb.FileDescriptorProto

// add takes in files, and those that they import.
func (f fileSet) add(r *reflection, files []*descriptorpb.FileDescriptorProto) error {
	var imports []string
	for _, file := range files {
		if f[file.GetName()] == nil {
			f[file.GetName()] = file
			imports = append(imports, file.GetDependency()...)
		}
	}
	if len(f) > maxFiles {
		return errTooMuch
	}
	for _, name := range imports {
		if f[name] != nil {
			continue
		}
		more, err := r.named(name)
		if err == nil {
			err = f.add(r, more)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// services gives those of the names.
func (f fileSet) services(names []string) ([]protoreflect.ServiceDescriptor, error) {
	set := new(descriptorpb.FileDescriptorSet)
	for _, file := range f {
		set.File = append(set.File, file)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, err
	}
	return servicesOf(files, names)
}

func servicesOf(files *protoregistry.Files, names []string) ([]protoreflect.ServiceDescriptor, error) {
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
