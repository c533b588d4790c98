// SPDX-License-Identifier: MPL-2.0

// Package counter is a contract whose calls can be counted: each carries an id, and
// the plugin writes down which it has run.
package counter

import (
	"net/rpc"

	"github.com/hashicorp/go-plugin"
)

// Kind is the name that a Counter is dispensed by.
const Kind = "counter"

// Counter runs calls.
type Counter interface {
	// Add runs id, which must never happen twice. It answers which replica ran it.
	Add(id string) (string, error)
	// Get may be repeated as often as one likes. It answers like Add.
	Get(id string) (string, error)
	// AddOrPanic is Add, but panics at random.
	AddOrPanic(id string) (string, error)
	// GetOrPanic is Get, but panics at random.
	GetOrPanic(id string) (string, error)
}

// Handshake is what host and plugin agree on.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "CHAOS_PLUGIN", MagicCookieValue: "counter"}
}

// Plugin carries a Counter over net/rpc.
type Plugin struct {
	// Impl is what a plugin serves. A host leaves it nil.
	Impl Counter
}

// Server implements plugin.Plugin.
func (p *Plugin) Server(*plugin.MuxBroker) (any, error) { return &server{p.Impl}, nil }

// Client implements plugin.Plugin.
func (p *Plugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) { return &client{c}, nil }

type client struct{ rpc *rpc.Client }

func (c *client) Add(id string) (string, error) { return c.call("Plugin.Add", id) }
func (c *client) Get(id string) (string, error) { return c.call("Plugin.Get", id) }

func (c *client) AddOrPanic(id string) (string, error) { return c.call("Plugin.AddOrPanic", id) }
func (c *client) GetOrPanic(id string) (string, error) { return c.call("Plugin.GetOrPanic", id) }

func (c *client) call(method, id string) (string, error) {
	var answer string
	err := c.rpc.Call(method, id, &answer)
	return answer, err
}

type server struct{ impl Counter }

// Add serves Plugin.Add.
func (s *server) Add(id string, answer *string) (err error) {
	*answer, err = s.impl.Add(id)
	return err
}

// Get serves Plugin.Get.
func (s *server) Get(id string, answer *string) (err error) {
	*answer, err = s.impl.Get(id)
	return err
}

// AddOrPanic serves Plugin.AddOrPanic.
func (s *server) AddOrPanic(id string, answer *string) (err error) {
	*answer, err = s.impl.AddOrPanic(id)
	return err
}

// GetOrPanic serves Plugin.GetOrPanic.
func (s *server) GetOrPanic(id string, answer *string) (err error) {
	*answer, err = s.impl.GetOrPanic(id)
	return err
}
