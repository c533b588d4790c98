// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"net/rpc"

	"google.golang.org/grpc"
)

// Plugin connects one Go interface to net/rpc: Server on the side that
// implements it, Client on the side that calls it. A type that speaks gRPC
// only embeds [NetRPCUnsupportedPlugin] to satisfy it.
type Plugin interface {
	// Server returns the value whose exported methods are served under the
	// net/rpc service name "Plugin". It is called once for every dispense, and
	// in network mode once more for the first host that asks for net/rpc, to
	// learn the method names that the handshake reports. The broker belongs to the session of the caller.
	Server(*MuxBroker) (interface{}, error)

	// Client returns a stub that implements the interface by calls on the
	// given client. The library closes the client with its session.
	Client(*MuxBroker, *rpc.Client) (interface{}, error)
}

// GRPCPlugin connects one Go interface to gRPC.
type GRPCPlugin interface {
	// GRPCServer registers the services of the plugin. It is called once in a
	// child process. In network mode it is called once for each session,
	// because each host has a server and a broker of its own; what must be
	// shared between hosts belongs into the implementation, not in here. If it
	// fails when it is called again, further sessions share the first server.
	GRPCServer(*GRPCBroker, *grpc.Server) error

	// GRPCClient returns a stub that implements the interface by calls on the
	// connection. The context ends when the plugin's process or session ends.
	GRPCClient(context.Context, *GRPCBroker, *grpc.ClientConn) (interface{}, error)
}

// PluginSet holds the plugins that one app version serves, by dispense name.
type PluginSet map[string]Plugin

// NetRPCUnsupportedPlugin is embedded by plugins that speak gRPC only. Its
// methods return an error.
type NetRPCUnsupportedPlugin struct{}

var errNetRPCUnsupported = errors.New("this plugin speaks gRPC only, it cannot be used over net/rpc")

// Server returns an error.
func (NetRPCUnsupportedPlugin) Server(*MuxBroker) (interface{}, error) {
	return nil, errNetRPCUnsupported
}

// Client returns an error.
func (NetRPCUnsupportedPlugin) Client(*MuxBroker, *rpc.Client) (interface{}, error) {
	return nil, errNetRPCUnsupported
}
