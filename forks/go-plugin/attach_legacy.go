// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// legacy is the configuration for a plugin that cannot be asked what it speaks. seems is
// what it began with.
func (c ClientConfig) legacy(seems hello.Peer) (ClientConfig, error) {
	reattach := *c.Reattach
	c.Reattach = &reattach
	var err error
	if reattach.Protocol, err = c.legacyProtocol(seems); err == nil {
		reattach.ProtocolVersion, err = c.legacyVersion(reattach.Protocol)
	}
	return c, err
}

// legacyProtocol is what to speak with a plugin that cannot be asked: what its
// first bytes belong to, or else what ReattachConfig says.
func (c *ClientConfig) legacyProtocol(seems hello.Peer) (Protocol, error) {
	var spoken Protocol
	switch seems {
	case hello.PeerHTTP2:
		spoken = ProtocolGRPC
	case hello.PeerYamux:
		spoken = ProtocolNetRPC
	default:
		return c.Reattach.Protocol, nil
	}
	if named := c.Reattach.Protocol; named != "" && named != spoken {
		return "", peererr.Incompatiblef("ReattachConfig.Protocol is %q, and the plugin speaks %q", named, spoken)
	}
	return spoken, nil
}

// legacyVersion is the app version of a plugin that cannot be asked: the one that
// the host was told, or the only one that it has over gRPC. The protocol of
// HandshakeConfig's version may be another.
func (c *ClientConfig) legacyVersion(protocol Protocol) (int, error) {
	if c.Reattach.ProtocolVersion != 0 || protocol != ProtocolGRPC {
		return c.Reattach.ProtocolVersion, nil
	}
	all := c.versions()
	maps.DeleteFunc(all, func(_ int, set PluginSet) bool { return !servesGRPC(set) })
	if _, ok := all[int(c.ProtocolVersion)]; ok || len(all) == 0 {
		return int(c.ProtocolVersion), nil
	}
	if len(all) == 1 {
		for version := range all {
			return version, nil
		}
	}
	return 0, fmt.Errorf("the host has the versions %v over gRPC, and the plugin cannot say which is its own: set ReattachConfig.ProtocolVersion",
		slices.Sorted(maps.Keys(all)))
}

// servesGRPC reports whether a kind of the set can be had over gRPC.
func servesGRPC(set PluginSet) bool {
	for _, kind := range set {
		if _, ok := kind.(GRPCPlugin); ok {
			return true
		}
	}
	return false
}
