// SPDX-License-Identifier: MPL-2.0

// Command farm is many instances of a network plugin in one process: it serves a greeter
// at each address of FARM_ADDRESSES, a comma list. Its greeter fails for the name "fail",
// and takes its time for "slow". FARM_COOKIE is a cookie that hosts do not expect.
package main

import (
	"cmp"
	"context"
	"errors"
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

	"github.com/reattach/reattach/commons"
)

type greeter struct{}

// Greet implements commons.Greeter.
func (greeter) Greet(name string) (string, error) {
	switch name {
	case "fail":
		return "", errors.New("no greeting for <b>fail</b>")
	case "slow":
		time.Sleep(20 * time.Millisecond)
	}
	return "Hello " + name, nil
}

// Hi implements commons.Greeter.
func (greeter) Hi(times int) (string, error) { return strings.Repeat("Hi! ", times), nil }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "farm:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var all sync.WaitGroup
	defer all.Wait()
	handshake := commons.Handshake()
	handshake.MagicCookieValue = cmp.Or(os.Getenv("FARM_COOKIE"), handshake.MagicCookieValue)
	for i, address := range strings.Split(os.Getenv("FARM_ADDRESSES"), ",") {
		lis, err := net.Listen("tcp", address)
		if err != nil {
			stop()
			return err
		}
		all.Go(func() {
			err := plugin.ServeListener(ctx, lis, &plugin.ServeConfig{
				HandshakeConfig:  handshake,
				VersionedPlugins: commons.Versions(plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: greeter{}}}),
				GRPCServer:       plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger(),
				Network: &plugin.NetworkConfig{Name: fmt.Sprintf("farm-%d", i), DrainTimeout: time.Second},
			})
			if err != nil {
				fmt.Fprintln(os.Stderr, "farm:", address, err)
			}
		})
	}
	fmt.Println("serving") // whoever started this waits for the line
	return nil
}
