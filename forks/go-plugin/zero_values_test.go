// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"errors"
	"testing"

	"github.com/hashicorp/go-plugin"
)

// What was never started is ended without a word: a deferred call ends what an error
// has kept from being made.
func TestEndOfZeroValues(t *testing.T) {
	failed := &plugin.GRPCServer{Plugins: plugin.PluginSet{"net/rpc": &echoPlugin{}}}
	if err := failed.Init(); err == nil {
		t.Error("a plugin without gRPC is served")
	}
	for name, end := range map[string]func() error{
		"GRPCServer.Stop":         func() error { new(plugin.GRPCServer).Stop(); return nil },
		"GRPCServer.GracefulStop": func() error { new(plugin.GRPCServer).GracefulStop(); return nil },
		"Stop after Init failed":  func() error { failed.Stop(); failed.GracefulStop(); return nil },
		"GRPCClient.Close":        func() error { return new(plugin.GRPCClient).Close() },
		"RPCClient.Close":         func() error { return new(plugin.RPCClient).Close() },
		"GRPCBroker.Close":        func() error { return new(plugin.GRPCBroker).Close() },
		"MuxBroker.Close":         func() error { return new(plugin.MuxBroker).Close() },
		"Client.Kill": func() error {
			c := new(plugin.Client)
			c.Kill()
			if c.Exited() || c.ID() != "" {
				return errors.New("it says that there was a plugin")
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := end(); err != nil {
				t.Error(err)
			}
		})
	}
}
