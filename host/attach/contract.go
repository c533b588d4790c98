// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"errors"
	"fmt"

	"github.com/hashicorp/go-plugin"
)

// Contract is what a host and its plugins must agree on. All dialers of a host
// share one.
type Contract struct {
	// Handshake holds the magic cookie.
	Handshake plugin.HandshakeConfig
	// Versions holds the kinds that the host knows of each app version. The
	// highest version that a plugin has as well is spoken.
	Versions map[int]plugin.PluginSet
	// Protocols are those that the host speaks, best first. Nil is gRPC and
	// net/rpc.
	Protocols []plugin.Protocol
	// Broker gives what all sessions of a plugin join for their callbacks. Nil,
	// and a nil broker, leave each session with a broker of its own.
	Broker func(plugin string) *plugin.SharedBroker
}

// Validate says what is missing.
func (c Contract) Validate() error {
	var errs []error
	if c.Handshake.MagicCookieKey == "" || c.Handshake.MagicCookieValue == "" {
		errs = append(errs, errors.New("Contract.Handshake: MagicCookieKey and MagicCookieValue must be set"))
	}
	if len(c.Versions) == 0 {
		errs = append(errs, errors.New("Contract.Versions is empty: there is no version to agree on"))
	}
	for _, p := range c.Protocols {
		if p != plugin.ProtocolGRPC && p != plugin.ProtocolNetRPC {
			errs = append(errs, fmt.Errorf("Contract.Protocols: %q is neither %q nor %q", p, plugin.ProtocolGRPC, plugin.ProtocolNetRPC))
		}
	}
	return errors.Join(errs...)
}

// ClientConfig gives the contract as go-plugin wants it for a session with the
// plugin of that name, to be completed with how to reach it.
func (c Contract) ClientConfig(name string) *plugin.ClientConfig {
	protocols := c.Protocols
	if protocols == nil {
		protocols = []plugin.Protocol{plugin.ProtocolGRPC, plugin.ProtocolNetRPC}
	}
	config := &plugin.ClientConfig{
		HandshakeConfig:  c.Handshake,
		VersionedPlugins: c.Versions,
		AllowedProtocols: protocols,
	}
	if c.Broker != nil {
		config.Broker = c.Broker(name)
	}
	return config
}
