// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/hashicorp/go-plugin/internal/child"
	"github.com/hashicorp/go-plugin/internal/env"
	"github.com/hashicorp/go-plugin/internal/listen"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// errPlaintextChild is what a host with AutoMTLS gets that hands its own
// PLUGIN_HOST on to a child. It wants TLS that nobody else can see through, and
// a certificate for one run does not go round on the network.
var errPlaintextChild = fmt.Errorf("a host with AutoMTLS has started this plugin as its child (%s is set), but %s makes it serve "+
	"the network, without TLS: start children without %s, or set %s and %s", env.ClientCert, env.Host, env.Host, env.TLSCert, env.TLSKey)

// serveNetwork serves hosts on the network until the process is told to end.
func serveNetwork(opts *ServeConfig, logger hclog.Logger) error {
	child.TakeEndWithHost() // It is no host's alone,
	child.TakeHello()       // and shakes hands with all.
	ended := make(chan struct{})
	defer close(ended)
	if opts.Network == nil {
		cfg, err := NetworkConfigFromEnv()
		if err != nil {
			return err
		}
		served := *opts
		served.Network = cfg
		opts = &served
	}
	output := stdio.NewHub(outputBuffer)
	server, err := newNetworkServer(opts, child.VersionsFromEnv(logger), logger, output, nil)
	if err != nil {
		return err
	}
	if server.tls == nil && os.Getenv(env.ClientCert) != "" {
		return errPlaintextChild
	}
	lis, announced, err := listen.Network()
	if err != nil {
		return err
	}
	captured, err := stdio.Capture(output, os.Stdout, os.Stderr)
	if err != nil {
		_ = lis.Close()
		return err
	}
	ctx := untilTold(server.config.DrainTimeout, ended)
	// A program that started this one as a child, in a container say, finds the
	// port where it always does.
	fmt.Println(child.Line{
		Version: server.announced.version, Protocol: string(server.announced.protocol),
		Network: announced.Network(), Address: announced.String(),
	})
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = captured.Stdout, captured.Stderr
	defer func() {
		os.Stdout, os.Stderr = stdout, stderr
		// What the plugin wrote last is still on its way.
		ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
		defer cancel()
		if err := captured.Close(ctx); err != nil {
			logger.Warn("plugin's last output is lost", "error", err)
		}
	}()
	return server.serve(ctx, lis)
}

// untilTold gives a context that ends when the process is told to end. From then on it is ended
// where it takes longer than to drain, unless ended is closed.
func untilTold(drain time.Duration, ended <-chan struct{}) context.Context {
	// A second signal ends the process at once. Whoever has read the line may send one.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, func() {
		stop()
		select {
		case <-ended:
		// No write that has no reader, and nothing else, holds the process up for longer.
		case <-time.After(drain + 2*stdio.FlushTimeout):
			os.Exit(1)
		}
	})
	return ctx
}

// ListenUnix opens a unix socket for [ServeListener] or [ServeRelay] as network mode does
// for PLUGIN_HOST=unix:///path: a socket that nobody serves on any more is replaced, no name
// is abstract, and PLUGIN_UNIX_SOCKET_GROUP and PLUGIN_UNIX_SOCKET_MODE say who may use it.
// setting is what errors call the address after. The listener's Close removes the file.
func ListenUnix(setting, address string) (net.Listener, error) { return listen.Unix(setting, address) }

// ServeListener serves hosts of the network on lis until ctx ends, drains for
// up to DrainTimeout, and returns nil when every session has ended by itself.
// It closes lis. It is network mode for a program that has a life of its own:
// it reads no environment, checks no cookie in it, and leaves signals and the
// standard streams alone.
func ServeListener(ctx context.Context, lis net.Listener, opts *ServeConfig) error {
	server, err := newNetworkServer(opts, nil, opts.logger(), stdio.NewHub(outputBuffer), nil)
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	return server.serve(ctx, lis)
}
