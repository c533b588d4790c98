// SPDX-License-Identifier: MPL-2.0

// Package dialertest holds every conn.Dialer to one behaviour: whatever the
// placement of a plugin, a host sees the same.
package dialertest

import (
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// Harness is one placement under test.
type Harness struct {
	// Dialer returns a dialer of the placement for that contract.
	Dialer func(t testing.TB, contract attach.Contract) conn.Dialer

	// Endpoint returns an endpoint at which the plugin of package served can be
	// reached until the test ends. Each call may start another instance.
	Endpoint func(t testing.TB) target.Endpoint

	// NotPlugin returns an endpoint of the placement where something else is.
	NotPlugin func(t testing.TB) target.Endpoint

	// Stuck returns an endpoint that neither works nor fails, for dials that
	// are given up, and a function that says whether a dial has got there. Nil
	// if there is no such thing.
	Stuck func(t testing.TB) (e target.Endpoint, reached func() bool)

	// Describes says that sessions know the plugin's name, kinds and instance.
	Describes bool

	// OwnProcess says that the plugin is another process than the test, and may
	// be killed. The harness waits for it, so that it does not stay a zombie.
	OwnProcess bool

	// Stops says that closing a session ends the plugin's process.
	Stops bool
}

// contract is the one of package commons, over one protocol.
func contract(protocols ...plugin.Protocol) attach.Contract {
	return attach.Contract{
		Handshake: commons.Handshake(),
		Versions: commons.Versions(plugin.PluginSet{
			commons.GreeterKind:    &commons.GreeterPlugin{},
			commons.PingPongerKind: &commons.PingPongerPlugin{},
		}),
		Protocols: protocols,
	}
}

// only leaves one version in a contract. Version 1 is net/rpc, version 2 gRPC.
func only(version int, protocol plugin.Protocol) attach.Contract {
	c := contract(protocol)
	c.Versions = map[int]plugin.PluginSet{version: c.Versions[version]}
	return c
}
