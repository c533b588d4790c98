// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
)

// greeterOptions are those of a daemon that knows greeters. In a program, NetworkPlugins or
// PluginDir say where they are.
func greeterOptions(address string) daemon.Options {
	opts := daemon.DefaultOptions()
	opts.Handshake, opts.Versions = commons.Handshake(), commons.Versions
	opts.Kinds = []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{},
		daemon.WithSwitch(commons.SwitchGreeter), daemon.WithParams("Greet", "name"))}
	opts.NetworkPlugins = "en=" + address
	return opts
}

// greeters runs a daemon until end is called.
func greeters(opts daemon.Options) (d *daemon.Daemon, end func() error) {
	d, err := daemon.New(opts)
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	return d, func() error { cancel(); return <-ended }
}

// What is dispensed is the interface itself, and outlives every endpoint.
func ExampleDispense() {
	address, stop := servePolite()
	defer stop()
	d, end := greeters(greeterOptions(address))
	greeter, err := daemon.Dispense[commons.Greeter](context.Background(), d, "en", commons.GreeterKind)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeter.Greet("Ada"))
	fmt.Println(end())
	// Output:
	// Hello Ada <nil>
	// <nil>
}

// A method is called by its name, with arguments in JSON: in order, or by name where
// the kind has them.
func ExampleDaemon_Call() {
	address, stop := servePolite()
	defer stop()
	d, end := greeters(greeterOptions(address))
	for _, args := range []string{`["Ada"]`, `{"name": "Bob"}`, `[7]`} {
		answer, err := d.Call(context.Background(), "en", commons.GreeterKind, "Greet", json.RawMessage(args))
		fmt.Printf("%s %v\n", answer, errors.Is(err, daemon.ErrArguments))
	}
	fmt.Println(end())
	// Output:
	// "Hello Ada" false
	// "Hello Bob" false
	//  true
	// <nil>
}

// A kind names a Go interface and the glue that carries it. Its options say what the
// host may do with each method.
func ExampleNewKind() {
	kind := daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{},
		daemon.WithSwitch(commons.SwitchGreeter),
		daemon.WithParams("Greet", "name"),
		daemon.WithMethod("Greet", stub.CallOptions{Idempotent: true, Timeout: 5 * time.Second}))
	opts := daemon.DefaultOptions()
	opts.Handshake, opts.Versions, opts.Kinds = commons.Handshake(), commons.Versions, []daemon.Kind{kind}
	opts.NetworkPlugins = "en=127.0.0.1:7000"
	d, err := daemon.New(opts)
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range d.Kinds()[0].Methods {
		fmt.Println(m.Signature)
	}
	// Output:
	// Greet(name string) (string, error)
	// Hi(int) (string, error)
}

// servePolite serves one greeter at a free port of this machine until stop is called.
func servePolite() (address string, stop func()) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = plugin.ServeListener(ctx, lis, &plugin.ServeConfig{
			HandshakeConfig:  commons.Handshake(),
			VersionedPlugins: commons.Versions(plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: polite{}}}),
			GRPCServer:       plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger(),
		})
	}()
	return lis.Addr().String(), func() { cancel(); <-served }
}

type polite struct{}

func (polite) Greet(name string) (string, error) { return "Hello " + name, nil }
func (polite) Hi(int) (string, error)            { return "Hi", nil }
