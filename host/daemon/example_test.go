// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
)

// This is the example of the README.
func Example() {
	opts := daemon.DefaultOptions()
	opts.Logger = hclog.Default() // says what it waits for
	opts.Handshake, opts.Versions = commons.Handshake(), commons.Versions
	opts.Kinds = []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{},
		daemon.WithSwitch(commons.SwitchGreeter))} // its plugins speak net/rpc or gRPC
	opts.NetworkPlugins = "pluginzh=127.0.0.1:7000"
	d, err := daemon.New(opts)
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Print(d.Run(context.Background())) }()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	greeter, err := daemon.Dispense[commons.Greeter](ctx, d, "pluginzh", commons.GreeterKind)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeter.Greet("Ada")) // today, and as often as the pods come and go
}
