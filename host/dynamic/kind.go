// SPDX-License-Identifier: MPL-2.0

// Package dynamic calls plugins whose Go interfaces the program does not have: over gRPC by
// server reflection, which go-plugin's servers offer, and over net/rpc where a contract tells
// the messages. Arguments and results are JSON.
package dynamic

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/rpc"
	"slices"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/reattach/reattach/host/daemon"
)

// Method is what a contract tells of a method.
type Method struct {
	Name string
	// Params and Results are what the source calls them, in order, with the numbers of their
	// fields in the messages.
	Params, Results []Field
	// Of gRPC's method: its service's full name, and its messages.
	Service         string
	Request, Answer protoreflect.MessageDescriptor
	// NotCallable says why JSON cannot carry the method; empty if it can.
	NotCallable string
}

// Field is a parameter or a result. Without a number it is the message as a whole.
type Field struct {
	Name, Type string
	Number     int
}

// Kind gives a kind of that name for a daemon. What options say of methods holds as for any
// other kind.
//
// Without methods it has the one that is named in only, or none, of which the plugin tells:
// name is then what the plugin is dispensed by, or the name of a gRPC service, as full as it
// needs to be.
func Kind(name string, methods []Method, only string, options ...daemon.KindOption) daemon.Kind {
	g := &glue{kind: name, methods: methods}
	described := make([]daemon.Method, 0, len(methods)+1)
	for _, m := range methods {
		described = append(described, m.describe())
	}
	if only != "" && len(methods) == 0 {
		described = append(described, daemon.Method{Name: only, Signature: only, Params: []daemon.Param{}, Results: []string{}})
	}
	return daemon.NewDescribedKind(name, g, described, append(options, daemon.WithSwitch(invokeBy))...)
}

func (m Method) describe() daemon.Method {
	d := daemon.Method{Name: m.Name, Params: []daemon.Param{}, Results: []string{}, NotCallable: m.NotCallable}
	for _, p := range m.Params {
		d.Params = append(d.Params, daemon.Param{Name: p.Name, Type: p.Type})
	}
	for _, r := range m.Results {
		d.Results = append(d.Results, r.Type)
	}
	d.Signature = signature(m.Name, d.Params, append(d.Results[:len(d.Results):len(d.Results)], "error"))
	return d
}

// glue is the plugin.Plugin of a kind, on the host's side.
type glue struct {
	kind    string
	methods []Method
}

var errHostOnly = errors.New("a kind that is known by description cannot be served")

// Server implements plugin.Plugin.
func (*glue) Server(*plugin.MuxBroker) (any, error) { return nil, errHostOnly }

// GRPCServer implements plugin.GRPCPlugin.
func (*glue) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return errHostOnly }

// Client implements plugin.Plugin.
func (g *glue) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &rpcInvoker{g, c}, nil
}

// GRPCClient implements plugin.GRPCPlugin.
func (g *glue) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return &grpcInvoker{glue: g, conn: c}, nil
}

// method gives what the contract tells of a method.
func (g *glue) method(name string) (Method, error) {
	i := slices.IndexFunc(g.methods, func(m Method) bool { return m.Name == name })
	if i < 0 {
		return Method{}, fmt.Errorf("%w method %q of kind %s", daemon.ErrUnknown, name, g.kind)
	}
	return g.methods[i], nil
}

// switched asks for each call which protocol is spoken now.
type switched struct{ pick func() daemon.Invoker }

func invokeBy(pick func() daemon.Invoker) daemon.Invoker { return &switched{pick} }

// Invoke implements daemon.Invoker.
func (s *switched) Invoke(ctx context.Context, method string, args json.RawMessage) (json.RawMessage, error) {
	return s.pick().Invoke(ctx, method, args)
}

// Describe gives the gRPC services of a plugin, as kinds: those of server reflection. The
// daemon has a kind of this package, by the name kind; whether the plugin serves it does not
// matter. A plugin that speaks net/rpc tells nothing in this way, and there are none then.
func Describe(ctx context.Context, d *daemon.Daemon, plugin, kind string) ([]daemon.KindInfo, error) {
	v, err := daemon.Dispense[daemon.Invoker](ctx, d, plugin, kind)
	if err != nil {
		return nil, err
	}
	if s, ok := v.(*switched); ok {
		v = s.pick()
	}
	g, ok := v.(*grpcInvoker)
	if !ok {
		return nil, nil
	}
	found, err := g.services(ctx)
	if err != nil {
		return nil, err
	}
	var kinds []daemon.KindInfo
	for _, s := range found {
		info := daemon.KindInfo{Name: string(s.FullName()), Methods: []daemon.Method{}}
		for i := range s.Methods().Len() {
			info.Methods = append(info.Methods, describe(s.Methods().Get(i)))
		}
		kinds = append(kinds, info)
	}
	return kinds, nil
}
