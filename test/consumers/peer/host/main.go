// SPDX-License-Identifier: MPL-2.0

// Program host is the host side of every plugin system here. It starts a plugin
// as its child, or attaches to one that listens at a TCP address, and prints
// what it was answered, a line for each call:
//
//	host SYSTEM child PATH
//	host SYSTEM attach ADDRESS
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
)

// deadline bounds all calls together.
const deadline = time.Minute

// system is what a host of one plugin system does.
type system struct {
	handshake plugin.HandshakeConfig
	version   int
	protocol  plugin.Protocol
	plugins   plugin.PluginSet
	autoMTLS  bool // with a child

	// converse calls the plugin and prints what it was answered. Self is a name
	// that no other host has: it must come back, and is printed as MINE, so that
	// all hosts print the same.
	converse func(ctx context.Context, client plugin.ClientProtocol, out io.Writer, self string) error
}

func systems() map[string]system {
	return map[string]system{
		"terraform": terraform(),
	}
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("arguments are %q, want: SYSTEM child PATH, or: SYSTEM attach ADDRESS", args)
	}
	s, ok := systems()[args[0]]
	if !ok {
		return fmt.Errorf("there is no system %q", args[0])
	}
	client, leave, err := s.client(args[1], args[2])
	if err != nil {
		return err
	}
	defer leave()
	protocol, err := client.Client()
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	return s.converse(ctx, protocol, os.Stdout, fmt.Sprint("host ", os.Getpid()))
}

// client returns a client, and what must be done when it is not needed any more:
// a plugin that was attached to goes on.
func (s system) client(how, where string) (*plugin.Client, func(), error) {
	config := &plugin.ClientConfig{
		HandshakeConfig:  s.handshake,
		VersionedPlugins: map[int]plugin.PluginSet{s.version: s.plugins},
		AllowedProtocols: []plugin.Protocol{s.protocol},
		Logger:           hclog.NewNullLogger(),
	}
	switch how {
	case "child":
		config.Cmd = exec.Command(where)
		config.AutoMTLS = s.autoMTLS
		client := plugin.NewClient(config)
		return client, client.Kill, nil
	case "attach":
		addr, err := net.ResolveTCPAddr("tcp", where)
		if err != nil {
			return nil, nil, fmt.Errorf("resolve %q: %w", where, err)
		}
		config.Plugins = s.plugins
		config.Reattach = &plugin.ReattachConfig{Protocol: s.protocol, ProtocolVersion: s.version, Addr: addr}
		return plugin.NewClient(config), func() {}, nil
	}
	return nil, nil, fmt.Errorf("the second argument is %q, want child or attach", how)
}

// dispense gives what a kind dispenses, as a T.
func dispense[T any](client plugin.ClientProtocol, kind string) (T, error) {
	var none T
	raw, err := client.Dispense(kind)
	if err != nil {
		return none, fmt.Errorf("dispense %s: %w", kind, err)
	}
	value, ok := raw.(T)
	if !ok {
		return none, fmt.Errorf("dispense %s: got %T, want %T", kind, raw, none)
	}
	return value, nil
}
