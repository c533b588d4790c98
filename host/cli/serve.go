// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/hashicorp/go-plugin/printable"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/api"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/doctor"
)

func (o Options) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Keep plugins attached, use each that becomes ready, and serve the HTTP API",
		Long: `Keeps every plugin attached that the environment points at, and uses each once that becomes
ready. Serves health, metrics, plugins, events and calls at ` + o.prefix() + `_LISTEN.

SIGTERM, SIGINT, SIGHUP, and writing to a stdout or stderr that nobody reads any more, end it in
order: HTTP, discovery, calls, sessions. Children are stopped and network plugins are left alone.
A second signal ends it at once, and its children with it.

` + o.environmentText() + "\n" + exitCodes,
		Args: usage(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.readConfig()
			if err != nil {
				return err
			}
			return c.serve(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// serve runs a daemon and its API until ctx ends. Then the API ends first.
func (c *config) serve(ctx context.Context, stdout, stderr io.Writer) error {
	if err := c.settlePlaces(); err != nil {
		return err
	}
	o, err := c.daemonOptions(stderr)
	if err != nil {
		return err
	}
	stopProfiles, err := c.serveProfiles(o.Logger.Named("pprof"))
	if err != nil {
		return &failure{exitUsage, err}
	}
	defer stopProfiles()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	o.Registerer = registry
	o.OnReady = c.onReady(&lockedWriter{w: stdout})
	stopTracing, err := c.follow(&o)
	if err != nil {
		return err
	}
	defer stopTracing()
	d, finders, err := c.newDaemon(o)
	if err != nil {
		return err
	}
	for _, f := range finders {
		defer f.Follow(d, registry)()
	}
	if c.Listen == "" {
		return ended(d.Run(ctx))
	}
	a := api.DefaultOptions()
	a.Program, a.Build = c.program.Name, versionText()
	a.Daemon, a.Address, a.TokenFile, a.NoCalls = d, c.Listen, c.TokenFile, c.NoCalls
	a.MaxCalls, a.MaxPluginCalls = c.MaxCalls, c.MaxPluginCalls
	a.MaxConnections = max(a.MaxConnections, 2*(a.MaxCalls+a.MaxStreams))
	a.Probe = func(ctx context.Context, plugin string, e daemon.Endpoint, tell func(doctor.Step)) error {
		way, err := c.wayTo(e.Address, plugin, cmp.Or(e.ServerName, plugin), o)
		if err == nil {
			_, err = way.Walk(ctx, tell)
		}
		return err
	}
	a.Gatherer, a.DrainTimeout, a.Logger = registry, c.DrainTimeout, o.Logger.Named("http")
	server, err := api.New(a)
	if err != nil {
		return failf(exitUsage, "%s, %s: %w", c.own("LISTEN"), c.own("TOKEN_FILE"), err)
	}
	o.Logger.Info("serving HTTP", "address", server.Addr().String())
	return ended(runBoth(ctx, d, server))
}

// ended keeps an error of the end from being taken for an interruption.
func ended(err error) error {
	if err != nil {
		return &failure{exitFailed, err}
	}
	return nil
}

// onReady gives the hook that prints what the program makes of a plugin: a line with
// its name for each that it writes.
func (c *config) onReady(w io.Writer) func(context.Context, *daemon.Daemon, string) {
	once := c.program.OnceReady
	if once == nil {
		return nil
	}
	return func(ctx context.Context, d *daemon.Daemon, plugin string) {
		var said said
		err := once(ctx, d, plugin, &said)
		if ctx.Err() != nil {
			return
		}
		for _, line := range said.lines(err) {
			// If nobody listens, nobody is left to be told so.
			_, _ = fmt.Fprintln(w, printable.Cell(plugin+"  "+line, maxRow))
		}
	}
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
