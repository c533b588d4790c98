// SPDX-License-Identifier: MPL-2.0

package visit

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
)

// session is one attachment to one plugin. Whoever got it from attach leaves it.
type session struct {
	protocol string
	version  int
	// dispense gives the stub of a kind. It may block until the session is left.
	dispense func(kind string) (any, error)
	// leave stops a child and detaches from any other plugin. It returns within
	// moments, even if the plugin does not answer any more.
	leave func()
}

// attach reaches the plugin at p, in the way that its placement asks for.
func attach(ctx context.Context, o Options, p Place) (*session, error) {
	config, err := clientConfig(o)
	if err != nil {
		return nil, err
	}
	switch p.Placement {
	case Child:
		return startChild(ctx, config, p.Target)
	case Network:
		// A child's log lines are named after its executable by the library.
		config.Logger = o.Logger.Named(p.Name)
		return attachNetwork(ctx, o, config, p)
	}
	if p.Placement == InProcess && o.Load != nil {
		return load(ctx, o, p, config.VersionedPlugins)
	}
	return nil, fmt.Errorf("attach %s: this host cannot reach a plugin that is %q", p.Name, p.Placement)
}

func load(ctx context.Context, o Options, p Place, kinds map[int]plugin.PluginSet) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, o.AttachTimeout)
	defer cancel()
	l, err := o.Load(ctx, p.Target, kinds)
	if err != nil {
		return nil, err
	}
	return &session{protocol: protocolName(l.Protocol), version: l.Version, dispense: l.Dispense, leave: l.Leave}, nil
}

// clientConfig is what all placements have in common.
func clientConfig(o Options) (*plugin.ClientConfig, error) {
	versions, err := o.versions()
	if err != nil {
		return nil, err
	}
	return &plugin.ClientConfig{
		HandshakeConfig:  commons.Handshake(),
		VersionedPlugins: versions,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC, plugin.ProtocolNetRPC},
		StartTimeout:     o.AttachTimeout,
		DialTimeout:      o.AttachTimeout,
		Logger:           o.Logger,
	}, nil
}

// versions gives the kinds for each version of the contract that the host speaks.
func (o Options) versions() (map[int]plugin.PluginSet, error) {
	all := commons.Versions(pluginSet(o.Kinds))
	chosen := make(map[int]plugin.PluginSet, len(o.Versions))
	for _, v := range o.Versions {
		set, ok := all[v]
		if !ok {
			return nil, fmt.Errorf("there is no version %d of the contract", v)
		}
		chosen[v] = set
	}
	return chosen, nil
}

// protocolName gives the name that people know a protocol by.
func protocolName(p plugin.Protocol) string {
	if p == plugin.ProtocolGRPC {
		return "gRPC"
	}
	return "net/rpc"
}
