// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/panictext"
)

// describeGRPC lists the kinds of a set with the methods that each serves over
// gRPC: the methods' short names and the full names of their messages.
func describeGRPC(set PluginSet) []hello.Kind {
	var kinds []hello.Kind
	for _, name := range slices.Sorted(maps.Keys(set)) {
		kind := hello.Kind{Name: name}
		// A plugin that cannot be asked may still be able to serve.
		if services, err := registeredServices(set[name]); err == nil {
			kind.Methods = describeServices(services)
		}
		kinds = append(kinds, kind)
	}
	return kinds
}

// registeredServices asks a plugin to register with a server that nobody will
// serve, and a broker that leads nowhere.
func registeredServices(p Plugin) (services map[string]grpc.ServiceInfo, err error) {
	defer func() {
		if r := recover(); r != nil {
			services, err = nil, fmt.Errorf("GRPCServer panics: %s", panictext.Of(r))
		}
	}()
	served, ok := p.(GRPCPlugin)
	if !ok {
		return nil, fmt.Errorf("%T is not a GRPC-compatible plugin", p)
	}
	server := grpc.NewServer()
	defer server.Stop()
	if err := served.GRPCServer(endedBroker(), server); err != nil {
		return nil, err
	}
	return server.GetServiceInfo(), nil
}

func describeServices(services map[string]grpc.ServiceInfo) []hello.Method {
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
