// SPDX-License-Identifier: MPL-2.0

// Command plugin is the plugin of the interop tests. What it does before it
// serves, and what it serves, comes from the environment, see hostapi.Plugin.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
	"github.com/reattach/reattach/test/interop/peer/store"
)

func main() {
	cfg, err := hostapi.PluginFromEnv()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if err := beforeServe(cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	serve := serveConfig(cfg)
	if cfg.TestMode {
		serveTest(serve)
		return
	}
	plugin.Serve(serve)
}

// serveTest serves as a test of a plugin does that starts a host by itself.
func serveTest(serve *plugin.ServeConfig) {
	stdout := os.Stdout // The library replaces it while it serves.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	reattach, closed := make(chan *plugin.ReattachConfig, 1), make(chan struct{})
	serve.Test = &plugin.ServeTestConfig{Context: ctx, ReattachConfigCh: reattach, CloseCh: closed, SyncStdio: true}
	go plugin.Serve(serve)
	select {
	case r := <-reattach:
		fmt.Fprintf(stdout, "1|%d|%s|%s|%s|\n", r.ProtocolVersion, r.Addr.Network(), r.Addr, r.Protocol)
		<-closed
	case <-closed:
		fmt.Fprintln(os.Stderr, "the plugin ended before it served")
		os.Exit(2)
	}
}

// beforeServe does what well-meant plugins do before they call Serve.
func beforeServe(cfg hostapi.Plugin) error {
	if cfg.ExitFirst != 0 {
		fmt.Fprintln(os.Stderr, "the plugin ends before it serves")
		os.Exit(cfg.ExitFirst)
	}
	if cfg.HangFirst {
		select {}
	}
	if cfg.FloodLines {
		if err := store.WriteFlood(os.Stdout, cfg.FloodFirst); err != nil {
			return err
		}
	} else if _, err := os.Stdout.WriteString(strings.Repeat("x", int(cfg.FloodFirst))); err != nil {
		return err
	}
	return store.WriteFlood(os.Stderr, cfg.ComplainFirst)
}

func serveConfig(cfg hostapi.Plugin) *plugin.ServeConfig {
	logger := hclog.New(&hclog.LoggerOptions{
		Level:      hclog.Trace,
		Output:     os.Stderr,
		JSONFormat: true,
	})
	memory := &store.Memory{Log: logger, SleepGate: cfg.SleepGate}
	serve := &plugin.ServeConfig{
		HandshakeConfig: store.Handshake(),
		Logger:          logger,
	}
	mixed := slices.Contains(slices.Collect(maps.Values(cfg.Versions)), "grpc")
	for version, protocol := range cfg.Versions {
		set := store.PluginSet(plugin.Protocol(protocol), memory, os.Getenv("PLUGIN_MULTIPLEX_GRPC") != "")
		if mixed && protocol == string(plugin.ProtocolNetRPC) {
			// With a GRPCServer the protocol of a set is that of any of its
			// kinds, so they must agree.
			delete(set, store.GRPCOnly)
		}
		if version == 1 {
			serve.Plugins = set
		} else {
			if serve.VersionedPlugins == nil {
				serve.VersionedPlugins = map[int]plugin.PluginSet{}
			}
			serve.VersionedPlugins[version] = set
		}
		if protocol == string(plugin.ProtocolGRPC) {
			serve.GRPCServer = grpcServer(cfg.MaxMessage)
		}
	}
	if cfg.TLSDir != "" {
		serve.TLSProvider = func() (*tls.Config, error) { return store.TLSConfig(cfg.TLSDir, "plugin") }
	}
	return serve
}

// grpcServer returns the factory that the well-known consumers write: the
// default one, or one with larger limits.
func grpcServer(maxMessage int) func([]grpc.ServerOption) *grpc.Server {
	if maxMessage == 0 {
		return plugin.DefaultGRPCServer
	}
	return func(opts []grpc.ServerOption) *grpc.Server {
		return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))...)
	}
}
