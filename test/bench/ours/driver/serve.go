// SPDX-License-Identifier: MPL-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/test/bench/internal/glue"
	"github.com/reattach/reattach/test/bench/internal/greet"
)

// work is what the plugin of a server does, its second argument.
const (
	plain   = "plain"
	busy    = "busy"
	holding = "holding"
)

// serve serves PROTOCOL and WORK: as the environment says, or at COUNT listeners, each of
// which is an endpoint of its own, or at a unix socket in DIR.
func serve(args []string) error {
	protocol, work := plugin.Protocol(args[0]), args[1]
	if len(args) == 2 {
		config, err := serveConfig(protocol, work)
		if err != nil {
			return err
		}
		plugin.Serve(config)
		return nil
	}
	network, address, count := "tcp", "127.0.0.1:0", 1
	if n, err := strconv.Atoi(args[2]); err == nil {
		count = n
	} else {
		network, address = "unix", filepath.Join(args[2], "plugin")
	}
	ended := make(chan error)
	addresses := make([]string, 0, count)
	for range count {
		config, err := serveConfig(protocol, work)
		if err != nil {
			return err
		}
		lis, err := net.Listen(network, address)
		if err != nil {
			return err
		}
		addresses = append(addresses, lis.Addr().String())
		go func() { ended <- plugin.ServeListener(context.Background(), lis, config) }()
	}
	fmt.Println(strings.Join(addresses, ","))
	return <-ended
}

func serveConfig(protocol plugin.Protocol, work string) (*plugin.ServeConfig, error) {
	impl, ok := map[string]greet.Worker{plain: new(greet.Plain), busy: newBusyGreeter(), holding: new(holder)}[work]
	if !ok {
		return nil, errors.New("there is no work " + work)
	}
	set, err := workers(protocol, impl)
	if err != nil {
		return nil, err
	}
	config := &plugin.ServeConfig{
		HandshakeConfig: glue.Handshake(), Plugins: set,
		Logger: hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr, JSONFormat: true}),
	}
	if protocol == gRPC {
		config.GRPCServer = plugin.DefaultGRPCServer
	}
	return config, nil
}
