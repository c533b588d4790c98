// SPDX-License-Identifier: MPL-2.0

package contract

import "github.com/hashicorp/go-plugin"

// Versions gives the app versions of one version of a contract, as
// ServeConfig.VersionedPlugins and ClientConfig.VersionedPlugins want them: version n of the
// contract is app version 2n-1 over net/rpc and 2n over gRPC.
func Versions(n int, set plugin.PluginSet) map[int]plugin.PluginSet {
	hidden := make(plugin.PluginSet, len(set))
	for name, p := range set {
		hidden[name] = netRPCOnly{p}
	}
	return map[int]plugin.PluginSet{2*n - 1: hidden, 2 * n: set}
}

// netRPCOnly hides the gRPC side of a plugin: by that go-plugin chooses the protocol of a
// version.
type netRPCOnly struct{ plugin.Plugin }
