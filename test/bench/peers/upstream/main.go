// SPDX-License-Identifier: MPL-2.0

// Command upstream measures the original go-plugin: its children, and its net/rpc
// server over TCP.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/bench/internal/glue"
	"github.com/reattach/reattach/test/bench/internal/greet"
	"github.com/reattach/reattach/test/bench/internal/peer"
)

func main() {
	peer.Program{
		Subjects: []peer.Subject{
			{Name: "upstream-child-netrpc", Open: child(plugin.ProtocolNetRPC, false)},
			{Name: "upstream-child-grpc", Open: child(plugin.ProtocolGRPC, false)},
			{Name: "upstream-child-gmux", Open: child(plugin.ProtocolGRPC, true)},
			{Name: "attach-netrpc", Open: attached(plugin.ProtocolNetRPC, network)},
			{Name: "attach-grpc", Open: attached(plugin.ProtocolGRPC, network)},
			{Name: "shims-netrpc", Open: attached(plugin.ProtocolNetRPC, exposed)},
			{Name: "shims-grpc", Open: attached(plugin.ProtocolGRPC, exposed)},
			{Name: "far-attach-netrpc", Open: attached(plugin.ProtocolNetRPC, far(network))},
			{Name: "far-attach-grpc", Open: attached(plugin.ProtocolGRPC, far(network))},
			{Name: "far-shims-netrpc", Open: attached(plugin.ProtocolNetRPC, far(exposed))},
			{Name: "far-shims-grpc", Open: attached(plugin.ProtocolGRPC, far(exposed))},
			{Name: "upstream-tcp-netrpc", Open: overTCP, Remote: remote},
		},
		Serve: serve,
	}.Main()
}

// child gives a subject whose plugin is a child process, for each session one.
func child(protocol plugin.Protocol, multiplex bool) func(*peer.Servers) (peer.Target, error) {
	return func(s *peer.Servers) (peer.Target, error) {
		return starting(protocol, multiplex, func() (*exec.Cmd, error) { return s.Command("child", string(protocol)) }, nil)
	}
}

// starting gives a target whose sessions each start a child. started, if not nil, is told its
// process: that of a program which does not report itself.
func starting(protocol plugin.Protocol, multiplex bool, command func() (*exec.Cmd, error), started func(pid int)) (peer.Target, error) {
	set, err := glue.Set(protocol, nil)
	if err != nil {
		return nil, err
	}
	config := plugin.ClientConfig{
		HandshakeConfig: glue.Handshake(), Plugins: set,
		AllowedProtocols:    []plugin.Protocol{protocol},
		GRPCBrokerMultiplex: multiplex,
		Logger:              hclog.NewNullLogger(),
	}
	return peer.AttachFunc(func() (peer.Session, error) {
		config := config
		if config.Cmd, err = command(); err != nil {
			return nil, err
		}
		client := plugin.NewClient(&config)
		g, err := dispense(client.Client())
		if err != nil {
			client.Kill()
			return nil, err
		}
		if started != nil {
			started(config.Cmd.Process.Pid)
		}
		return peer.NewSession(g, func() error {
			client.Kill()
			return nil
		}), nil
	}), nil
}

func dispense(c plugin.ClientProtocol, err error) (greet.Greeter, error) {
	if err != nil {
		return nil, err
	}
	raw, err := c.Dispense(greet.Kind)
	if err != nil {
		return nil, err
	}
	return raw.(greet.Greeter), nil
}

// overTCP is the library's net/rpc server with a listener that is not a child's.
func overTCP(s *peer.Servers) (peer.Target, error) {
	r, err := remote(s)
	if err != nil {
		return nil, err
	}
	return peer.AttachFunc(func() (peer.Session, error) { return r.Attach(r.Address) }), nil
}

func remote(s *peer.Servers) (peer.Remote, error) {
	server, err := s.Start(nil, "tcp", string(plugin.ProtocolNetRPC))
	if err != nil {
		return peer.Remote{}, err
	}
	set, err := glue.Set(plugin.ProtocolNetRPC, nil)
	return peer.Remote{Address: server.Line, Attach: func(address string) (peer.Session, error) {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return nil, err
		}
		client, err := plugin.NewRPCClient(conn, set)
		if err != nil {
			return nil, err
		}
		// As the library's own client does.
		err = client.SyncStreams(io.Discard, io.Discard)
		g, err := dispense(client, err)
		if err != nil {
			_ = conn.Close()
			return nil, err
		}
		// Its own Close would end the server, which has other hosts.
		return peer.NewSession(g, conn.Close), nil
	}}, err
}

func serve(args []string) error {
	set, err := glue.Set(plugin.Protocol(args[1]), new(greet.Plain))
	if err != nil {
		return err
	}
	if args[0] == "tcp" {
		return serveTCP(set)
	}
	config := &plugin.ServeConfig{
		HandshakeConfig: glue.Handshake(), Plugins: set,
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr, JSONFormat: true}),
	}
	if args[1] == string(plugin.ProtocolGRPC) {
		config.GRPCServer = plugin.DefaultGRPCServer
	}
	plugin.Serve(config)
	return nil
}

func serveTCP(set plugin.PluginSet) error {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(lis.Addr())
	// The library reads what a plugin writes from pipes. This one writes nothing.
	stdout, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	stderr, out, err := os.Pipe()
	if err != nil {
		return err
	}
	defer out.Close()
	(&plugin.RPCServer{Plugins: set, Stdout: stdout, Stderr: stderr, DoneCh: make(chan struct{})}).Serve(lis)
	return nil
}
