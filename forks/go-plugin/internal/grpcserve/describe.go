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

// describe lists the methods of what a plugin has registered: their short
// names and the full names of their messages.
func describe(services map[string]grpc.ServiceInfo) []hello.Method {
	var methods []hello.Method
	for _, name := range slices.Sorted(maps.Keys(services)) {
		desc, _ := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
		service, _ := desc.(protoreflect.ServiceDescriptor)
		infos := services[name].Methods
		slices.SortFunc(infos, func(a, b grpc.MethodInfo) int { return cmp.Compare(a.Name, b.Name) })
		for _, info := range infos {
			methods = append(methods, describeMethod(service, info.Name))
		}
	}
	return methods
}

// describeMethod names the messages where service, which may be nil, is known.
func describeMethod(service protoreflect.ServiceDescriptor, name string) hello.Method {
	method := hello.Method{Name: name}
	if service == nil {
		return method
	}
	if desc := service.Methods().ByName(protoreflect.Name(name)); desc != nil {
		method.Args = messageName(desc.Input(), desc.IsStreamingClient())
		method.Reply = messageName(desc.Output(), desc.IsStreamingServer())
	}
	return method
}

func messageName(message protoreflect.MessageDescriptor, streamed bool) string {
	name := string(message.FullName())
	if streamed {
		name = "stream " + name
	}
	return name
}
