// SPDX-License-Identifier: MPL-2.0

package commons

import "github.com/hashicorp/go-plugin"

// Versions of the contract, as negotiated between a host and a plugin.
const (
	// VersionNetRPC is spoken over net/rpc, and by every peer there ever was.
	VersionNetRPC = 1
	// VersionGRPC is spoken over gRPC.
	VersionGRPC = 2
)

// Handshake returns what a host must present before a plugin of this family talks
// to it. The cookie keeps people from starting a plugin by hand; it is no secret.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{
		ProtocolVersion:  VersionNetRPC,
		MagicCookieKey:   "BASIC_PLUGIN",
		MagicCookieValue: "hello",
	}
}

// Versions gives a set of plugins for each version of the contract, as
// ServeConfig.VersionedPlugins and ClientConfig.VersionedPlugins want it. Every
// value in set must implement plugin.GRPCPlugin.
func Versions(set plugin.PluginSet) map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{
		VersionNetRPC: NetRPC(set),
		VersionGRPC:   set,
	}
}

// NetRPC returns set with the gRPC side of each plugin hidden. go-plugin decides
// the protocol of a version by whether its plugins implement plugin.GRPCPlugin, so
// the net/rpc version must hold values that do not.
func NetRPC(set plugin.PluginSet) plugin.PluginSet {
	hidden := make(plugin.PluginSet, len(set))
	for name, p := range set {
		hidden[name] = netRPCOnly{p}
	}
	return hidden
}

// netRPCOnly promotes the two methods of plugin.Plugin and nothing else.
type netRPCOnly struct{ plugin.Plugin }
