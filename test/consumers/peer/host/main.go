// SPDX-License-Identifier: MPL-2.0

// Program host starts a provider as its child, or attaches to one that listens
// at an address, and prints what it was answered, a line for each call:
//
//	host child PATH
//	host attach NETWORK ADDRESS
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// deadline bounds all calls together.
const deadline = time.Minute

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	config := &plugin.ClientConfig{
		HandshakeConfig: plugin.HandshakeConfig{
			MagicCookieKey:   "TF_PLUGIN_MAGIC_COOKIE",
			MagicCookieValue: "d602bf8f470bc67ca7faa0386276bbdd4330efaf76d1a219cb4d6991ca9872b2",
		},
		VersionedPlugins: map[int]plugin.PluginSet{6: {"provider": connPlugin{}}},
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
	}
	switch {
	case len(args) == 2 && args[0] == "child":
		config.Cmd = exec.Command(args[1])
		config.AutoMTLS = true
	case len(args) == 3 && args[0] == "attach":
		addr, err := net.ResolveTCPAddr(args[1], args[2])
		if err != nil {
			return fmt.Errorf("resolve %q: %w", args[2], err)
		}
		config.Plugins = config.VersionedPlugins[6]
		config.Reattach = &plugin.ReattachConfig{Protocol: plugin.ProtocolGRPC, ProtocolVersion: 6, Addr: addr}
	default:
		return fmt.Errorf("arguments are %q, want: child PATH, or: attach NETWORK ADDRESS", args)
	}
	client := plugin.NewClient(config)
	if args[0] == "child" {
		defer client.Kill()
	}
	protocol, err := client.Client()
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	raw, err := protocol.Dispense("provider")
	if err != nil {
		return fmt.Errorf("dispense: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	return converse(ctx, raw.(*grpc.ClientConn), os.Stdout, fmt.Sprint("host ", os.Getpid()))
}

// connPlugin dispenses the connection itself, because the SDK has no public client.
type connPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (connPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return fmt.Errorf("this is a host")
}

func (connPlugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}
