// SPDX-License-Identifier: MPL-2.0

// Package store is the contract that the interop peers share. It is compiled
// twice, against upstream go-plugin and against the fork, and so uses only what
// both have. Its shape follows the well-known consumers: a key-value service
// that exists over net/rpc as version 1 and over gRPC as version 2, streams,
// and callbacks in both directions.
package store

import (
	"context"
	"fmt"

	"github.com/hashicorp/go-plugin"
)

// What the peers' hosts and plugins agree on, see Handshake.
const (
	CookieKey   = "INTEROP_PLUGIN"
	CookieValue = "the-peers-know-each-other"
)

// Handshake returns what a host or a plugin configures. Peers that do not
// negotiate speak version 1.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: CookieKey, MagicCookieValue: CookieValue}
}

// Names under which plugins are dispensed.
const (
	// Kind speaks the protocol of the session.
	Kind = "store"

	// GRPCOnly has no net/rpc glue. A host that dispenses it over net/rpc is
	// told so by the plugin's side.
	GRPCOnly = "grpconly"

	// RPCOnly has no gRPC glue. The host's side refuses to dispense it over gRPC.
	RPCOnly = "rpconly"
)

// Store is what the plugin implements and the host calls.
type Store interface {
	// Put keeps a value.
	Put(key string, value []byte) error

	// Get returns a kept value, or an error that names the key.
	Get(key string) ([]byte, error)

	// Act makes the plugin do what the action says, see Action.
	Act(Action) (Outcome, error)
}

// Stub is what a dispense returns in the host: the Store, and what needs the
// session's broker or a stream.
type Stub interface {
	Store

	// List has the plugin stream count entries and returns how many came, in order.
	List(count int64) (int64, error)

	// Echo exchanges count entries, one answer for each, and returns how many
	// came back unchanged.
	Echo(count int64) (int64, error)

	// UseCallback serves the adder on the session's broker and has the plugin
	// call it count times. It returns the sum of the answers as the plugin saw
	// them, and the name that the adder gave to the plugin.
	UseCallback(adder Adder, count int64) (Outcome, error)

	// OpenCallback has the plugin serve an adder on the session's broker. Call
	// stop when done with it.
	OpenCallback() (adder Adder, stop func() error, err error)

	// Context ends when the library says that the plugin has ended. Over
	// net/rpc there is none, and it never ends.
	Context() context.Context
}

// Adder is called over brokered connections.
type Adder interface {
	// Add returns a+b and the name of who added.
	Add(a, b int64) (Sum, error)
}

// Sum is the answer of an Adder.
type Sum struct {
	Sum int64
	By  string
}

// NamedAdder adds in the name of somebody.
type NamedAdder string

// Add returns a+b and the adder's name.
func (n NamedAdder) Add(a, b int64) (Sum, error) { return Sum{Sum: a + b, By: string(n)}, nil }

// sumUp calls the adder count times with (i, 1) and adds up the answers.
func sumUp(adder Adder, count int64) (Outcome, error) {
	var out Outcome
	for i := range count {
		sum, err := adder.Add(i, 1)
		if err != nil {
			return out, err
		}
		out.N += sum.Sum
		out.Text = sum.By
	}
	return out, nil
}

// listEntry returns entry n of a List.
func listEntry(n int64) Entry {
	key := fmt.Sprintf("entry %08d", n)
	return Entry{Key: key, Value: []byte(key)}
}

// PluginSet returns the kinds that a plugin serves in one protocol. Settle is
// GRPC's.
func PluginSet(protocol plugin.Protocol, impl Store, settle bool) plugin.PluginSet {
	overGRPC := &GRPC{Impl: impl, Settle: settle}
	if protocol == plugin.ProtocolGRPC {
		return plugin.PluginSet{Kind: overGRPC}
	}
	return plugin.PluginSet{Kind: &NetRPC{Impl: impl}, GRPCOnly: overGRPC}
}
