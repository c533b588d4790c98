// SPDX-License-Identifier: MPL-2.0

// Program host is the host side of every plugin system here. It starts a plugin
// as its child, or attaches to one that listens at a TCP address, and prints
// what it was answered, a line for each call:
//
//	host SYSTEM child PATH
//	host SYSTEM attach ADDRESS
//	host SYSTEM reattach ADDRESS
//
// To attach it names the address alone. To reattach it also names a process, in
// test mode: upstream takes a plugin without a process as ended after a second.
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

// system is a host of a plugin system that has one client of its plugin.
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

// host is a host of one plugin system. It starts a plugin, or attaches to one, and
// prints what it is answered, with its own name self as MINE.
type host interface {
	run(ctx context.Context, how, where string, out io.Writer, self string) error
}

func hosts() map[string]host {
	return map[string]host{
		"argo":         argo(),
		"grafana":      grafana(),
		"once-panics":  once("panics"),
		"once-same":    once("same"),
		"terraform":    terraform(),
		"tflint":       tflintHost{},
		"vault":        vaultHost{mounts: 4},
		"vault-single": vaultHost{mounts: 2},
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
		return fmt.Errorf("arguments are %q, want: SYSTEM child PATH, or: SYSTEM attach|reattach ADDRESS", args)
	}
	h, ok := hosts()[args[0]]
	if !ok {
		return fmt.Errorf("there is no system %q", args[0])
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	return h.run(ctx, args[1], args[2], os.Stdout, fmt.Sprint("host ", os.Getpid()))
}

func (s system) run(ctx context.Context, how, where string, out io.Writer, self string) error {
	client, leave, err := s.client(how, where)
	if err != nil {
		return err
	}
	defer leave()
	protocol, err := client.Client()
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return s.converse(ctx, protocol, out, self)
}

// client returns a client, and what must be done when it is not needed any more:
// a plugin that was attached to goes on.
func (s system) client(how, where string) (*plugin.Client, func(), error) {
	config := &plugin.ClientConfig{
		HandshakeConfig:  s.handshake,
		AllowedProtocols: []plugin.Protocol{s.protocol},
		Logger:           hclog.NewNullLogger(),
	}
	if how == "child" {
		config.Cmd = exec.Command(where)
		config.VersionedPlugins = map[int]plugin.PluginSet{s.version: s.plugins}
		config.AutoMTLS = s.autoMTLS
		client := plugin.NewClient(config)
		return client, client.Kill, nil
	}
	var err error
	if config.Reattach, err = reattachConfig(how, where); err != nil {
		return nil, nil, err
	}
	config.Plugins = s.plugins
	config.Reattach.Protocol, config.Reattach.ProtocolVersion = s.protocol, s.version
	return plugin.NewClient(config), func() {}, nil
}

// reattachConfig says where a network plugin is. The process that upstream watches
// is this one, as the plugin's is on another machine.
func reattachConfig(how, where string) (*plugin.ReattachConfig, error) {
	addr, err := net.ResolveTCPAddr("tcp", where)
	if err != nil {
		return nil, fmt.Errorf("resolve %q: %w", where, err)
	}
	switch how {
	case "attach":
		return &plugin.ReattachConfig{Addr: addr}, nil
	case "reattach":
		return &plugin.ReattachConfig{Addr: addr, Pid: os.Getpid(), Test: true}, nil
	}
	return nil, fmt.Errorf("the second argument is %q, want child, attach or reattach", how)
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
