// SPDX-License-Identifier: MPL-2.0

// Package contracttest tries a contract that "reattach gen" carries, over both protocols:
// random values must arrive as they were sent, and errors must be those that were returned.
// The test that is generated with a contract calls it.
package contracttest

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin"
)

// Subject is one kind of a contract.
type Subject[T any] struct {
	// Kind is its dispense name, and Plugin carries it.
	Kind   string
	Plugin plugin.Plugin
	// Fake is what Serve serves: a pointer to a struct with a field for each method, whose
	// name is the method's with "Func" behind it. The test sets them.
	Fake  any
	Serve *plugin.ServeConfig
	// Callbacks are fakes of the interfaces that methods take.
	Callbacks []any
	// Sentinels are those of the contract, and ErrorTypes a value of each of its error types.
	Sentinels, ErrorTypes []error
}

const (
	// rounds is how often each method is called with other values.
	rounds = 12
	// patience bounds a call.
	patience = 30 * time.Second
)

// Run tries a kind over each protocol, on a connection of its own.
func Run[T any](t *testing.T, s Subject[T]) {
	for _, version := range slices.Sorted(maps.Keys(s.Serve.VersionedPlugins)) {
		name, protocol := "net/rpc", plugin.ProtocolNetRPC
		if _, ok := s.Serve.VersionedPlugins[version][s.Kind].(plugin.GRPCPlugin); ok {
			name, protocol = "gRPC", plugin.ProtocolGRPC
		}
		t.Run(name, func(t *testing.T) {
			stub, ok := dispense(t, s.Serve, version, protocol, s.Kind, s.Plugin).(T)
			if !ok {
				t.Fatalf("what was dispensed is no %v", reflect.TypeFor[T]())
			}
			tried := &trial{t: t, sentinels: s.Sentinels, types: s.ErrorTypes}
			for _, fake := range s.Callbacks {
				tried.fakes = append(tried.fakes, reflect.TypeOf(fake))
			}
			tried.methods(reflect.TypeFor[T](), reflect.ValueOf(stub), reflect.ValueOf(s.Fake))
		})
	}
}

// dispense serves one version on the loopback address, and gives a stub of it. Both end
// with the test.
func dispense(t *testing.T, serve *plugin.ServeConfig, version int, protocol plugin.Protocol, kind string, carrier plugin.Plugin) any {
	t.Helper()
	only := *serve
	only.VersionedPlugins = map[int]plugin.PluginSet{version: serve.VersionedPlugins[version]}
	only.Logger = hclog.NewNullLogger()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- plugin.ServeListener(ctx, lis, &only) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Errorf("the plugin ended with %v", err)
		}
	})
	if protocol == plugin.ProtocolNetRPC {
		carrier = struct{ plugin.Plugin }{carrier}
	}
	session, err := plugin.Attach(t.Context(), &plugin.ClientConfig{
		HandshakeConfig:  serve.HandshakeConfig,
		VersionedPlugins: map[int]plugin.PluginSet{version: {kind: carrier}},
		AllowedProtocols: []plugin.Protocol{protocol},
		Reattach:         &plugin.ReattachConfig{Addr: lis.Addr()},
		Logger:           hclog.NewNullLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	stub, err := session.Dispense(kind)
	if err != nil {
		t.Fatal(err)
	}
	return stub
}

// random gives numbers that are the same whenever the test of that name is run.
func random(name string) *rand.Rand {
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, name)
	return rand.New(rand.NewPCG(h.Sum64(), 1))
}
