// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"maps"
	"slices"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/internal/broker"
	"github.com/hashicorp/go-plugin/internal/grpcserve"
)

// grpcPlugins is a set as an engine registers it.
func grpcPlugins(set PluginSet) []grpcserve.Plugin {
	var plugins []grpcserve.Plugin
	for _, name := range slices.Sorted(maps.Keys(set)) {
		p := grpcserve.Plugin{Name: name}
		if served, ok := set[name].(GRPCPlugin); ok {
			p.Register = func(b *broker.Broker, s *grpc.Server) error { return served.GRPCServer(&GRPCBroker{engine: b}, s) }
		}
		plugins = append(plugins, p)
	}
	return plugins
}
