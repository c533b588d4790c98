// SPDX-License-Identifier: MPL-2.0

// Command replica is one instance of the counter plugin, or many: REPLICA_ADDRESSES
// makes it serve each of a comma list of addresses as an instance of its own. It
// appends what it runs to REPLICA_LOG, a line each, at once.
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
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/chaos/counter"
)

// work is how long a call takes, so that there are always some in flight.
const work = 8 * time.Millisecond

type replica struct {
	name string
	log  *os.File
}

func (r *replica) Add(id string) (string, error) {
	// One write of one line: it is there even if the process is killed next.
	if _, err := r.log.WriteString(id + "\n"); err != nil {
		return "", err
	}
	return r.Get(id)
}

func (r *replica) Get(string) (string, error) {
	<-time.After(work)
	return r.name, nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "replica:", err)
		os.Exit(1)
	}
}

func run() error {
	name, path := os.Getenv("REPLICA_NAME"), os.Getenv("REPLICA_LOG")
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	config := &plugin.ServeConfig{
		HandshakeConfig: counter.Handshake(),
		Plugins:         plugin.PluginSet{counter.Kind: &counter.Plugin{Impl: &replica{name, log}}},
		Logger:          hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr}),
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
		all.Go(func() { plugin.ServeListener(ctx, lis, config) })
	}
	// Whoever started this waits for the line.
	fmt.Println("serving")
	return nil
}
