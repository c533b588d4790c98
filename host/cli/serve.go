// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/api"
	"github.com/reattach/reattach/host/daemon"
)

func (h Host) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Keep plugins attached, greet each that becomes ready, and serve the HTTP API",
		Long: `Keeps every plugin attached that the environment points at, and prints a greeting of each
that becomes ready. Serves health, metrics, plugins, events and calls at BASIC_LISTEN.

SIGTERM, SIGINT, SIGHUP, and writing to a stdout or stderr that nobody reads any more, end it in
order: HTTP, discovery, calls, sessions. Children are stopped and network plugins are left alone.
A second signal ends it at once, and its children with it.

` + environmentText() + "\n" + exitCodes,
		Args: usage(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfig()
			if err != nil {
				return err
			}
			return h.serve(cmd.Context(), c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// serve runs a daemon and its API until ctx ends. Then the API ends first.
func (h Host) serve(ctx context.Context, c Config, stdout, stderr io.Writer) error {
	if err := c.findSomething(); err != nil {
		return err
	}
	o, err := h.daemonOptions(c, stderr)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	o.Registerer = registry
	o.OnReady = h.Greet(c, &lockedWriter{w: stdout})
	cluster, err := c.cluster(o.Logger)
	if err != nil {
		return &failure{exitUsage, err}
	}
	if cluster != nil {
		o.Sources = append(o.Sources, cluster)
	}
	d, err := daemon.New(o)
	if err != nil {
		return &failure{exitUsage, err}
	}
	if cluster != nil {
		events := d.Subscribe(eventBuffer)
		registry.MustRegister(droppedEvents(events, cluster.Reporter()))
		defer reportEvents(events, cluster.Reporter())()
	}
	if c.Listen == "" {
		return d.Run(ctx)
	}
	a := api.DefaultOptions()
	a.Daemon, a.Address, a.TokenFile, a.NoCalls = d, c.Listen, c.TokenFile, c.NoCalls
	a.MaxCalls, a.MaxPluginCalls = c.MaxCalls, c.MaxPluginCalls
	a.MaxConnections = max(a.MaxConnections, 2*(a.MaxCalls+a.MaxStreams))
	a.Gatherer, a.DrainTimeout, a.Logger = registry, c.DrainTimeout, o.Logger.Named("http")
	server, err := api.New(a)
	if err != nil {
		return failf(exitUsage, "BASIC_LISTEN, BASIC_TOKEN_FILE: %w", err)
	}
	o.Logger.Info("serving HTTP", "address", server.Addr().String())
	return runBoth(ctx, d, server)
}

// runBoth ends the daemon after the server, whatever ends the server.
func runBoth(ctx context.Context, d *daemon.Daemon, server *api.Server) error {
	attached, detach := context.WithCancel(context.WithoutCancel(ctx))
	defer detach()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		defer stop() // a daemon that fails takes the server with it
		ended <- d.Run(attached)
	}()
	err := server.Run(serving)
	detach()
	return errors.Join(err, <-ended)
}

// lockedWriter lets several goroutines print whole lines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, err := l.w.Write(p)
	if err != nil {
		err = fmt.Errorf("print: %w", err)
	}
	return n, err
}
