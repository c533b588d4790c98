// SPDX-License-Identifier: MPL-2.0

// Program terraform011-host is to a plugin what Terraform 0.11 is: it starts one as
// its child, or attaches to one at a TCP address. Its arguments, and what it prints,
// are those of program host.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	tfplugin "github.com/hashicorp/terraform/plugin"
	"github.com/hashicorp/terraform/terraform"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "terraform011-host:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 || args[0] != "terraform011" {
		return fmt.Errorf("arguments are %q, want: terraform011 child PATH, or: terraform011 attach|reattach ADDRESS", args)
	}
	config := &plugin.ClientConfig{
		HandshakeConfig: tfplugin.Handshake,
		Plugins:         tfplugin.PluginMap,
		Logger:          hclog.NewNullLogger(),
	}
	if args[1] == "child" {
		config.Cmd = exec.Command(args[2])
	} else {
		addr, err := net.ResolveTCPAddr("tcp", args[2])
		if err != nil {
			return fmt.Errorf("resolve %q: %w", args[2], err)
		}
		config.Reattach = &plugin.ReattachConfig{Protocol: plugin.ProtocolNetRPC, ProtocolVersion: 4, Addr: addr}
		if args[1] == "reattach" {
			config.Reattach.Pid, config.Reattach.Test = os.Getpid(), true
		}
	}
	client := plugin.NewClient(config)
	defer client.Kill()
	protocol, err := client.Client()
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	provider, err := dispense[terraform.ResourceProvider](protocol, tfplugin.ProviderPluginName)
	if err != nil {
		return err
	}
	provisioner, err := dispense[terraform.ResourceProvisioner](protocol, tfplugin.ProvisionerPluginName)
	if err != nil {
		return err
	}
	self := fmt.Sprint("host ", os.Getpid())
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- apply(provider, provisioner, os.Stdout, self) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the calls took %v: %w", deadline, ctx.Err())
	}
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
