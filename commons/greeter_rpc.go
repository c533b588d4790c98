// SPDX-License-Identifier: MPL-2.0

package commons

import (
	"context"
	"net/rpc"

	"github.com/hashicorp/go-plugin"
)

// greeterRPC is the host's side of a Greeter over net/rpc.
type greeterRPC struct{ caller rpcCaller }

func (g *greeterRPC) Greet(name string) (string, error) {
	return g.caller.call("Plugin.Greet", args{"name": name})
}

func (g *greeterRPC) Hi(times int) (string, error) {
	return g.caller.call("Plugin.Hi", args{"times": times})
}

// WithValues gives a Greeter whose calls carry the values of ctx, such as what is known of
// the trace that they belong to. A host calls it for each call.
func (g *greeterRPC) WithValues(ctx context.Context) any {
	return &greeterRPC{g.caller.with(ctx)}
}

// rpcCaller calls methods that take named arguments and answer a string.
type rpcCaller struct {
	client *rpc.Client
	ctx    context.Context // nil: calls carry none
}

func (c rpcCaller) with(ctx context.Context) rpcCaller { return rpcCaller{c.client, ctx} }

// call sends the map under its plain type, since that is what every peer decodes.
func (c rpcCaller) call(method string, a args) (answer string, err error) {
	if c.ctx == nil {
		err = c.client.Call(method, map[string]interface{}(a), &answer)
	} else {
		err = plugin.CallContext(c.ctx, c.client, method, map[string]interface{}(a), &answer)
	}
	return answer, err
}

// greeterRPCServer is the plugin's side. net/rpc finds its methods by reflection.
type greeterRPCServer struct{ impl Greeter }

// Greet serves Plugin.Greet {"name": string}.
func (s *greeterRPCServer) Greet(a map[string]interface{}, answer *string) error {
	name, err := required[string]("Greet", a, "name")
	if err != nil {
		return err
	}
	*answer, err = s.impl.Greet(name)
	return err
}

// Hi serves Plugin.Hi {"times": int}.
func (s *greeterRPCServer) Hi(a map[string]interface{}, answer *string) error {
	times, err := optional[int]("Hi", a, "times")
	if err != nil {
		return err
	}
	*answer, err = s.impl.Hi(times)
	return err
}
