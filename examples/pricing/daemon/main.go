// SPDX-License-Identifier: MPL-2.0

// Command daemon asks every pricer that it can find what three teas cost, and goes on
// until it is told to end.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/reattach/reattach/host/daemon"

	"example.com/pricing"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	opts := daemon.DefaultOptions()
	opts.Handshake = pricing.Handshake()
	opts.Kinds = []daemon.Kind{daemon.NewKind[pricing.Pricer](pricing.Kind, &pricing.Plugin{})}
	opts.PluginDir, opts.NetworkPlugins = os.Getenv("PLUGIN_DIR"), os.Getenv("NETWORK_PLUGIN")
	opts.OnReady = func(ctx context.Context, d *daemon.Daemon, plugin string) {
		pricer, err := daemon.Dispense[pricing.Pricer](ctx, d, plugin, pricing.Kind)
		if err != nil {
			log.Print(err)
			return
		}
		price, err := pricer.Price("tea", 3)
		fmt.Println(plugin, price, err)
	}
	d, err := daemon.New(opts)
	if err != nil {
		log.Fatal(err)
	}
	if err := d.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
