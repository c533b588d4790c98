// SPDX-License-Identifier: MPL-2.0

// Command replica is one instance of the counter plugin, or many: REPLICA_ADDRESSES
// makes it serve each of a comma list of addresses as an instance of its own.
// counter.ServeConfig says what else the environment describes.
package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/chaos/counter"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "replica:", err)
		os.Exit(1)
	}
}

func run() error {
	config, err := counter.ServeConfig()
	if err != nil {
		return err
	}
	if addresses := os.Getenv("REPLICA_ADDRESSES"); addresses != "" {
		return serveMany(strings.Split(addresses, ","), config)
	}
	plugin.Serve(config)
	return nil
}

// serveMany serves at each address until the process is told to end.
func serveMany(addresses []string, config *plugin.ServeConfig) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	for _, a := range addresses {
		lis, err := net.Listen("tcp", a)
		if err != nil {
			stop()
			return err
		}
		all.Go(func() {
			if err := plugin.ServeListener(ctx, lis, config); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		})
	}
	// Whoever started this waits for the line.
	fmt.Println("serving")
	return nil
}
