// SPDX-License-Identifier: MPL-2.0

package dynamic

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/services"
	"github.com/reattach/reattach/host/stub"
)

// grpcInvoker calls the methods of a kind over gRPC.
type grpcInvoker struct {
	*glue
	conn grpc.ClientConnInterface

	mu    sync.Mutex
	known []protoreflect.ServiceDescriptor // by reflection; nil before that was asked
}

// services gives those of the plugin's own. It asks once.
func (g *grpcInvoker) services(ctx context.Context) ([]protoreflect.ServiceDescriptor, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.known != nil {
		return g.known, nil
	}
	found, err := services.Describe(ctx, g.conn)
	if status.Code(err) == codes.Unimplemented {
		err = fmt.Errorf("it has no server reflection: give its contract.json: %w", err)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the plugin for its services: %w", err)
	}
	g.known = found
	return found, nil
}

// Invoke implements daemon.Invoker.
func (g *grpcInvoker) Invoke(ctx context.Context, method string, args json.RawMessage) (json.RawMessage, error) {
	m, err := g.find(ctx, method)
	if err != nil {
		return nil, err
	}
	in, err := m.request(args)
	if err != nil {
		return nil, err
	}
	out := dynamicpb.NewMessage(m.Answer)
	if err := g.conn.Invoke(ctx, "/"+m.Service+"/"+m.Name, in, out); err != nil {
		return nil, said(err)
	}
	return m.result(out)
}

// said gives a plugin's own error with its text alone, as Go's interfaces do: a code that
// says nothing is left out.
func said(err error) error {
	if _, fault := stub.Cause(err); !fault && status.Code(err) == codes.Unknown {
		return &reworded{err, status.Convert(err).Message()}
	}
	return err
}

// find gives a method by the contract, or else by reflection.
func (g *grpcInvoker) find(ctx context.Context, name string) (Method, error) {
	if len(g.methods) > 0 {
		return g.method(name)
	}
	found, err := g.services(ctx)
	if err != nil {
		return Method{}, err
	}
	service, err := choose(found, g.kind, name)
	if err != nil {
		return Method{}, err
	}
	m := service.Methods().ByName(protoreflect.Name(name))
	if m == nil {
		return Method{}, fmt.Errorf("%w method %q: %s has %s", daemon.ErrUnknown, name, service.FullName(), strings.Join(methodNames(service), ", "))
	}
	if d := describe(m); d.NotCallable != "" {
		return Method{}, fmt.Errorf("%s.%s %w: %s", g.kind, name, daemon.ErrNotCallable, d.NotCallable)
	}
	return Method{Name: name, Service: string(service.FullName()), Request: m.Input(), Answer: m.Output()}, nil
}

// choose gives the service that stands for a kind: the one of that name, or that ends with
// it, or is called like it but for case; or else the only one that has the method.
func choose(found []protoreflect.ServiceDescriptor, kind, method string) (protoreflect.ServiceDescriptor, error) {
	for _, fits := range []func(protoreflect.ServiceDescriptor) bool{
		func(s protoreflect.ServiceDescriptor) bool { return string(s.FullName()) == kind },
		func(s protoreflect.ServiceDescriptor) bool {
			return strings.HasSuffix("."+string(s.FullName()), "."+kind)
		},
		func(s protoreflect.ServiceDescriptor) bool { return plain(string(s.Name())) == plain(kind) },
		func(s protoreflect.ServiceDescriptor) bool {
			return s.Methods().ByName(protoreflect.Name(method)) != nil
		},
	} {
		fit := slices.DeleteFunc(slices.Clone(found), func(s protoreflect.ServiceDescriptor) bool { return !fits(s) })
		if len(fit) == 1 {
			return fit[0], nil
		}
	}
	names := make([]string, len(found))
	for i, s := range found {
		names[i] = string(s.FullName())
	}
	return nil, fmt.Errorf("%w kind %q: the plugin's gRPC services are %s: give one of these names", daemon.ErrUnknown, kind, strings.Join(names, ", "))
}

// plain is a name without what differs between the words for a kind and for a service.
func plain(name string) string {
	return strings.TrimSuffix(strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(name)), "service")
}

func methodNames(s protoreflect.ServiceDescriptor) []string {
	var names []string
	for i := range s.Methods().Len() {
		names = append(names, string(s.Methods().Get(i).Name()))
	}
	return names
}
