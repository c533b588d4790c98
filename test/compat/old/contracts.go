// SPDX-License-Identifier: MPL-2.0

// Package old is the first demo as its users built it in 2020, against go-plugin
// v1.3.0: the contracts with their careless glue, and a host. What is built from it
// stands for binaries that nobody can rebuild any more, so it does not improve.
package old

import (
	"net/rpc"

	"github.com/hashicorp/go-plugin"
)

// Handshake is the first demo's.
func Handshake(version uint) plugin.HandshakeConfig {
	return plugin.HandshakeConfig{
		ProtocolVersion:  version,
		MagicCookieKey:   "BASIC_PLUGIN",
		MagicCookieValue: "hello",
	}
}

// First is the first contract: Hi had not been thought of.
type First interface {
	Greet(name string) (string, error)
}

// FirstPlugin carries a First.
type FirstPlugin struct{ Impl First }

// Server gives the receiver of net/rpc.
func (p *FirstPlugin) Server(*plugin.MuxBroker) (interface{}, error) {
	return &FirstServer{p.Impl}, nil
}

// Client gives the stub.
func (*FirstPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (interface{}, error) {
	return &Stub{c}, nil
}

// FirstServer serves Plugin.Greet alone.
type FirstServer struct{ impl First }

// Greet trusts the peer, as the demo did: an argument that is missing is a panic.
func (s *FirstServer) Greet(args map[string]interface{}, answer *string) (err error) {
	*answer, err = s.impl.Greet(args["name"].(string))
	return err
}

// Greeter is the contract at the end of the demo.
type Greeter interface {
	First
	Hi(times int) (string, error)
}

// GreeterPlugin carries a Greeter.
type GreeterPlugin struct{ Impl Greeter }

// Server gives the receiver of net/rpc.
func (p *GreeterPlugin) Server(*plugin.MuxBroker) (interface{}, error) {
	return &GreeterServer{FirstServer{p.Impl}, p.Impl}, nil
}

// Client gives the stub.
func (*GreeterPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (interface{}, error) {
	return &Stub{c}, nil
}

// GreeterServer adds Plugin.Hi.
type GreeterServer struct {
	FirstServer
	impl Greeter
}

// Hi takes the zero value for an argument that an older host does not send.
func (s *GreeterServer) Hi(args map[string]interface{}, answer *string) (err error) {
	times, _ := args["times"].(int)
	*answer, err = s.impl.Hi(times)
	return err
}

// PingPonger is the demo's second contract.
type PingPonger interface {
	Ping() (string, error)
}

// PingPongerPlugin carries a PingPonger.
type PingPongerPlugin struct{ Impl PingPonger }

// Server gives the receiver of net/rpc.
func (p *PingPongerPlugin) Server(*plugin.MuxBroker) (interface{}, error) {
	return &PingPongerServer{p.Impl}, nil
}

// Client gives the stub.
func (*PingPongerPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (interface{}, error) {
	return &Stub{c}, nil
}

// PingPongerServer serves Plugin.Ping.
type PingPongerServer struct{ impl PingPonger }

// Ping has no arguments.
func (s *PingPongerServer) Ping(_ map[string]interface{}, answer *string) (err error) {
	*answer, err = s.impl.Ping()
	return err
}
