// SPDX-License-Identifier: MPL-2.0

package commons

import "net/rpc"

// greeterRPC is the host's side of a Greeter over net/rpc.
type greeterRPC struct{ client *rpc.Client }

func (g *greeterRPC) Greet(name string) (string, error) {
	return callRPC(g.client, "Plugin.Greet", args{"name": name})
}

func (g *greeterRPC) Hi(times int) (string, error) {
	return callRPC(g.client, "Plugin.Hi", args{"times": times})
}

// callRPC calls a method that takes named arguments and answers a string. The map
// is sent under its plain type, since that is what every peer decodes.
func callRPC(c *rpc.Client, method string, a args) (string, error) {
	var answer string
	err := c.Call(method, map[string]interface{}(a), &answer)
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
