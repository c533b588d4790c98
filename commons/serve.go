// SPDX-License-Identifier: MPL-2.0

package commons

import (
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

// Serve runs a plugin that serves set, by kind, in both versions of the contract.
// It returns when the plugin has ended, and is the last thing a plugin's main does.
func Serve(logger hclog.Logger, set plugin.PluginSet) {
	plugin.Serve(ServeConfig(logger, set))
}

// ServeConfig says what a plugin serves: set, by kind, in both versions of the
// contract. A shared object hands it to its host.
func ServeConfig(logger hclog.Logger, set plugin.PluginSet) *plugin.ServeConfig {
	return &plugin.ServeConfig{
		HandshakeConfig:  Handshake(),
		VersionedPlugins: Versions(set),
		GRPCServer:       plugin.DefaultGRPCServer,
		Logger:           logger,
	}
}
