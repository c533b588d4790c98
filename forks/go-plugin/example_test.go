// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"fmt"
	"net"
	"net/rpc"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

// Shouter is what host and plugin agree on.
type Shouter interface {
	Shout(text string) (string, error)
}

// shouterPlugin carries a Shouter over net/rpc.
type shouterPlugin struct{ impl Shouter }

func (p *shouterPlugin) Server(*plugin.MuxBroker) (any, error) { return &shouterServer{p.impl}, nil }

func (p *shouterPlugin) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) {
	return &shouterClient{c}, nil
}

type shouterServer struct{ impl Shouter }

// Shout is the method that net/rpc calls.
func (s *shouterServer) Shout(text string, answer *string) (err error) {
	*answer, err = s.impl.Shout(text)
	return err
}

type shouterClient struct{ rpc *rpc.Client }

func (c *shouterClient) Shout(text string) (answer string, err error) {
	err = c.rpc.Call("Plugin.Shout", text, &answer)
	return answer, err
}

// loud is a plugin's implementation.
type loud struct{}

func (loud) Shout(text string) (string, error) { return strings.ToUpper(text) + "!", nil }

var handshake = plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "SHOUTER_PLUGIN", MagicCookieValue: "aloud"}

// serve serves hosts at a free port of this machine until end is called.
func serve(plugins plugin.PluginSet) (addr net.Addr, end func() error) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, func() error { return err }
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- plugin.ServeListener(ctx, lis, &plugin.ServeConfig{
			HandshakeConfig: handshake,
			Plugins:         plugins,
			Logger:          hclog.NewNullLogger(),
		})
	}()
	return lis.Addr(), func() error { cancel(); return <-served }
}

// A host attaches to a plugin that runs elsewhere, uses it, and detaches. Several may
// do so at once, and the plugin lives on.
func ExampleAttach() {
	addr, end := serve(plugin.PluginSet{"shouter": &shouterPlugin{loud{}}})
	for range 2 {
		session, err := plugin.Attach(context.Background(), &plugin.ClientConfig{
			HandshakeConfig: handshake,
			Plugins:         plugin.PluginSet{"shouter": &shouterPlugin{}},
			Reattach:        &plugin.ReattachConfig{Addr: addr},
			Logger:          hclog.NewNullLogger(),
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		stub, err := session.Dispense("shouter")
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(stub.(Shouter).Shout("hello"))
		if err := session.Close(); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(end())
	// Output:
	// HELLO! <nil>
	// HELLO! <nil>
	// <nil>
}

// A program of its own serves plugins beside whatever else it does. It ends when the
// context does, and calls in flight finish first.
func ExampleServeListener() {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- plugin.ServeListener(ctx, lis, &plugin.ServeConfig{
			HandshakeConfig: handshake,
			Plugins:         plugin.PluginSet{"shouter": &shouterPlugin{loud{}}},
			Logger:          hclog.NewNullLogger(),
			Network:         &plugin.NetworkConfig{Name: "shouter"},
		})
	}()
	stop()
	fmt.Println(<-served)
	// Output: <nil>
}

// A host that holds a plugin.Client names where the plugin is, instead of a command.
func ExampleNewClient() {
	plugins := plugin.PluginSet{"shouter": &shouterPlugin{loud{}}}
	addr, end := serve(plugins)

	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  handshake,
		Plugins:          plugins,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC, plugin.ProtocolNetRPC},
		Reattach:         &plugin.ReattachConfig{Addr: addr}, // an address and no Pid: a remote plugin
	})
	defer client.Kill() // detaches; the plugin lives on

	protocol, err := client.Client()
	if err != nil {
		fmt.Println(err)
		return
	}
	shouter, err := protocol.Dispense("shouter")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(shouter.(Shouter).Shout("hello"))
	client.Kill()
	fmt.Println(end())
	// Output:
	// HELLO! <nil>
	// <nil>
}
