// SPDX-License-Identifier: MPL-2.0

package visit

import (
	"context"
	"slices"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/tlsfile"
)

// attachNetwork attaches to the plugin that listens at p. A plugin too old to shake
// hands on the wire is spoken to in net/rpc, version 1, if the host knows it.
func attachNetwork(ctx context.Context, o Options, config *plugin.ClientConfig, p Place) (*session, error) {
	config.Reattach = &plugin.ReattachConfig{Addr: address(p.Target)}
	if !o.TLS.IsZero() && !slices.Contains(o.PlainPlugins, p.Name) {
		var err error
		if config.TLSConfig, err = tlsfile.Client(o.TLS, p.serverName(), o.Logger); err != nil {
			return nil, err
		}
	}
	remote, err := plugin.Attach(ctx, config)
	if err != nil {
		return nil, err // it names the address
	}
	return &session{
		protocol: protocolName(remote.Protocol()),
		version:  remote.Version(),
		dispense: remote.Dispense,
		leave:    func() { _ = remote.Close() },
	}, nil
}
