// SPDX-License-Identifier: MPL-2.0

package visit

import (
	"context"

	"github.com/hashicorp/go-plugin"
)

// attachNetwork attaches to the plugin that listens at target. A plugin too old to
// shake hands on the wire is spoken to in net/rpc, version 1, if the host knows it.
func attachNetwork(ctx context.Context, config *plugin.ClientConfig, target string) (*session, error) {
	config.Reattach = &plugin.ReattachConfig{Addr: address(target)}
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
