// SPDX-License-Identifier: MPL-2.0

package visit

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-plugin"
)

// attachNetwork attaches to the plugin that listens at target.
func attachNetwork(ctx context.Context, config *plugin.ClientConfig, target string) (*session, error) {
	config.Reattach = &plugin.ReattachConfig{Protocol: plugin.ProtocolNetRPC, Addr: address(target)}
	client := plugin.NewClient(config)
	protocol, err := within(ctx, config.StartTimeout, client.Client)
	if err != nil {
		return nil, fmt.Errorf("attach to %s: %w", target, err)
	}
	return &session{
		protocol: protocolName(client.Protocol()),
		version:  client.NegotiatedVersion(),
		dispense: protocol.Dispense,
		leave:    client.Kill,
	}, nil
}
