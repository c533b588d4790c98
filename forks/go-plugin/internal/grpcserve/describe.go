// SPDX-License-Identifier: MPL-2.0

package grpcserve

import (
	"cmp"
	"maps"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/hashicorp/go-plugin/internal/hello"
)

// describe lists the methods of what a plugin has registered: their short names and,
// where the descriptor is known, the full names of their messages.
func describe(services map[string]grpc.ServiceInfo) []hello.Method {
	var methods []hello.Method
	for _, name := range slices.Sorted(maps.Keys(services)) {
		desc, _ := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		service, known := desc.(protoreflect.ServiceDescriptor)
		infos := services[name].Methods
		slices.SortFunc(infos, func(a, b grpc.MethodInfo) int { return cmp.Compare(a.Name, b.Name) })
		for _, info := range infos {
			method := hello.Method{Name: info.Name}
			if known {
				if desc := service.Methods().ByName(protoreflect.Name(info.Name)); desc != nil {
					method.Args = messageName(desc.Input(), desc.IsStreamingClient())
					method.Reply = messageName(desc.Output(), desc.IsStreamingServer())
				}
			}
			methods = append(methods, method)
		}
	}
	return methods
}

func messageName(message protoreflect.MessageDescriptor, streamed bool) string {
	if streamed {
		return "stream " + string(message.FullName())
	}
	return string(message.FullName())
}
