// SPDX-License-Identifier: MPL-2.0

// Program velero-host is to an object store what Velero is: it starts one as its child,
// or attaches to one at a TCP address. Its arguments, and what it prints, are those of
// program host.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/sirupsen/logrus"
	"github.com/vmware-tanzu/velero/pkg/plugin/framework"
	"github.com/vmware-tanzu/velero/pkg/plugin/framework/common"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "velero-host:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 || args[0] != "velero" {
		return fmt.Errorf("arguments are %q, want: velero child PATH, or: velero attach|reattach ADDRESS", args)
	}
	config, err := clientConfig(args[1], args[2])
	if err != nil {
		return err
	}
	client := plugin.NewClient(config)
	if args[1] == "child" {
		defer client.Kill()
	}
	protocol, err := client.Client()
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	return backUp(protocol, os.Stdout, fmt.Sprint("host ", os.Getpid()))
}

// clientConfig is what Velero gives its client, with those of its kinds that backUp uses.
func clientConfig(how, where string) (*plugin.ClientConfig, error) {
	log := logrus.New()
	log.Out = io.Discard
	config := &plugin.ClientConfig{
		HandshakeConfig:  framework.Handshake(),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Plugins: plugin.PluginSet{
			string(common.PluginKindObjectStore):  framework.NewObjectStorePlugin(common.ClientLogger(log)),
			string(common.PluginKindPluginLister): &framework.PluginListerPlugin{},
		},
		Logger: hclog.NewNullLogger(),
	}
	if how == "child" {
		config.Cmd = exec.Command(where, "--log-level", "info")
		return config, nil
	}
	addr, err := net.ResolveTCPAddr("tcp", where)
	if err != nil {
		return nil, fmt.Errorf("resolve %q: %w", where, err)
	}
	config.Reattach = &plugin.ReattachConfig{Protocol: plugin.ProtocolGRPC, ProtocolVersion: int(config.ProtocolVersion), Addr: addr}
	if how == "reattach" {
		config.Reattach.Pid, config.Reattach.Test = os.Getpid(), true
	}
	return config, nil
}

// dispense gives what a kind dispenses, as a T.
func dispense[T any](client plugin.ClientProtocol, kind common.PluginKind) (T, error) {
	var none T
	raw, err := client.Dispense(string(kind))
	if err != nil {
		return none, fmt.Errorf("dispense %s: %w", kind, err)
	}
	value, ok := raw.(T)
	if !ok {
		return none, fmt.Errorf("dispense %s: got %T, want %T", kind, raw, none)
	}
	return value, nil
}
