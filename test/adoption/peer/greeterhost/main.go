// SPDX-License-Identifier: MPL-2.0

// Command greeterhost is a host of the original library for greeters over gRPC: it starts
// the executable that its argument names, and does what each line of its stdin says. It
// prints one line for each: the answer, or "error: " and why.
//
//	greet NAME   greets; without a name the plugin refuses
//	ping         asks for the plugin's health, as go-plugin does
//
// At the end of stdin it kills its plugin.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  plugin.HandshakeConfig{MagicCookieKey: "BASIC_PLUGIN", MagicCookieValue: "hello"},
		VersionedPlugins: map[int]plugin.PluginSet{2: {"greeter": &kind{}}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Cmd:              exec.Command(os.Args[1]),
		Logger:           hclog.New(&hclog.LoggerOptions{Output: os.Stderr}),
	})
	defer client.Kill()
	protocol, err := client.Client()
	if err != nil {
		return err
	}
	raw, err := protocol.Dispense("greeter")
	if err != nil {
		return err
	}
	g, ok := raw.(*greeter)
	if !ok {
		return fmt.Errorf("dispensed a %T", raw)
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		answer, err := "", errors.New("no such command")
		switch word, name, _ := strings.Cut(in.Text(), " "); word {
		case "greet":
			answer, err = g.greet(name)
		case "ping":
			answer, err = "pong", protocol.Ping()
		}
		if err != nil {
			answer = "error: " + err.Error()
		}
		fmt.Println(answer)
	}
	return nil
}

// kind is what the host knows of greeters.
type kind struct{ plugin.NetRPCUnsupportedPlugin }

// GRPCServer implements plugin.GRPCPlugin. It is not used: this is no plugin.
func (*kind) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return errors.ErrUnsupported }

// GRPCClient implements plugin.GRPCPlugin.
func (*kind) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return &greeter{c}, nil
}

// greeter calls the contract's service. Its messages have one text, in the field 1, as a
// StringValue has.
type greeter struct{ conn *grpc.ClientConn }

func (g *greeter) greet(name string) (string, error) {
	answer := new(wrapperspb.StringValue)
	// A text that is empty is not sent, and the plugin must be told one.
	err := g.conn.Invoke(context.Background(), "/reattach.commons.v1.Greeter/Greet", wrapperspb.String(name), answer)
	return answer.GetValue(), err
}
