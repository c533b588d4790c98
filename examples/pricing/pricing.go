// SPDX-License-Identifier: MPL-2.0

// Package pricing is a contract between a team's daemon and its plugins.
package pricing

import (
	"context"
	"net/rpc"

	"github.com/hashicorp/go-plugin"
)

// Kind is the name that a Pricer is dispensed by.
const Kind = "pricer"

// Pricer says what things cost.
type Pricer interface {
	// Price gives the price of a quantity of some goods. Whoever looks it up need not go
	// on when ctx has ended: nobody waits then.
	Price(ctx context.Context, goods string, quantity int) (Money, error)
}

// Money is an amount in the smallest unit of a currency.
type Money struct {
	Amount   int64
	Currency string
}

// Handshake is what the daemon and its plugins agree on.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "PRICING_PLUGIN", MagicCookieValue: "prices"}
}

// Plugin carries a Pricer over net/rpc.
type Plugin struct {
	// Impl is what a plugin serves. A daemon leaves it nil.
	Impl Pricer
}

// Server implements plugin.Plugin. The server's methods take contexts.
func (p *Plugin) Server(*plugin.MuxBroker) (any, error) {
	return plugin.ContextReceiver(&server{p.Impl}), nil
}

// Client implements plugin.Plugin.
func (p *Plugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) { return &client{c}, nil }

// Order is what travels; net/rpc wants its name exported.
type Order struct {
	Goods    string
	Quantity int
}

type client struct{ rpc *rpc.Client }

func (c *client) Price(ctx context.Context, goods string, quantity int) (Money, error) {
	var m Money
	err := plugin.CallContext(ctx, c.rpc, "Plugin.Price", Order{goods, quantity}, &m)
	return m, err
}

type server struct{ impl Pricer }

// Price serves Plugin.Price.
func (s *server) Price(ctx context.Context, o Order, m *Money) (err error) {
	*m, err = s.impl.Price(ctx, o.Goods, o.Quantity)
	return err
}
