// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/target"
)

// client answers what the client commands ask: of a running daemon, or of one that
// was started for the question.
type client interface {
	// Plugins gives how every plugin fares.
	Plugins(ctx context.Context) (found, error)
	// Kinds gives the kinds that can be called.
	Kinds(ctx context.Context) ([]daemon.KindInfo, error)
	// Describe gives the kinds of a plugin, as far as they are known. A note says of kinds
	// that they are the host's own, of which the plugin has told nothing.
	Describe(ctx context.Context, plugin string) (kinds []daemon.KindInfo, note string, err error)
	// LookBack gives all plugins, and what is kept of what happened before.
	LookBack(ctx context.Context) (lookBack, error)
	// Events calls list with all plugins and what is kept of what happened before, and show
	// with each thing that has happened since, until ctx ends, which is no error. It calls
	// list again if it was too slow to hear of everything.
	Events(ctx context.Context, list func(lookBack) error, show func(daemon.Event) error) error
	// Watch calls show with all plugins now and after each change until ctx ends,
	// which is no error.
	Watch(ctx context.Context, show func(found) error) error
	// Call calls a method; its errors are failures with an exit code.
	Call(ctx context.Context, plugin, kind, method string, args json.RawMessage) (json.RawMessage, error)
	// Close leaves.
	Close() error
}

// servedBy leaves of the known kinds those that a plugin serves. One that has not told may
// serve any, and note says so.
func servedBy(all found, plugin string, known []daemon.KindInfo) (kinds []daemon.KindInfo, note string, err error) {
	i := slices.IndexFunc(all.Plugins, func(p daemon.Plugin) bool { return p.Name == plugin })
	if i < 0 {
		return nil, "", all.unknown(plugin)
	}
	switch p := all.Plugins[i]; {
	case len(p.Kinds) > 0:
		known = slices.DeleteFunc(known, func(k daemon.KindInfo) bool { return !slices.Contains(p.Kinds, k.Name) })
	case p.Ready:
		note = "plugin " + plugin + " does not tell what it serves: these are the kinds that the host would ask it for"
	default:
		note = "plugin " + plugin + " is not ready, and has told no kinds: these are the kinds that the host would ask it for"
	}
	return known, note, nil
}

// found is what a daemon knows of plugins, as its API says it.
type found daemon.Found

// lookBack is what a daemon knows of plugins, and the events that led to it, the oldest
// first, as far as they are kept.
type lookBack struct {
	found
	Earlier []daemon.Past `json:"earlier"`
}

// orEmpty has lists where it has none, as the API does.
func (f found) orEmpty() found {
	if f.Plugins == nil {
		f.Plugins = []daemon.Plugin{}
	}
	if f.Problems == nil {
		f.Problems = []target.Problem{}
	}
	return f
}

// ofNoPlugin are the problems that no plugin shows.
func (f found) ofNoPlugin() []target.Problem {
	return slices.DeleteFunc(slices.Clone(f.Problems), func(p target.Problem) bool {
		return slices.ContainsFunc(f.Plugins, func(known daemon.Plugin) bool { return known.Name == p.Plugin })
	})
}

// unknown is the error of whoever asks for a plugin that was not found: it says which were, and
// what could not be looked at.
func (f found) unknown(plugin string) error {
	return &failure{exitUsage, f.explain(&fleet.UnknownPluginError{Plugin: plugin, Known: f.names()})}
}

// explain adds to the error of an unknown plugin a problem that may be why it is unknown.
func (f found) explain(err error) error {
	if others := f.ofNoPlugin(); len(others) > 0 {
		return fmt.Errorf("%w; %s", err, others[0])
	}
	return err
}

// names are those of all plugins.
func (f found) names() []string {
	names := make([]string, len(f.Plugins))
	for i, p := range f.Plugins {
		names[i] = p.Name
	}
	return names
}

// code is the exit code that it leads to.
func (f found) code() int {
	if len(f.ofNoPlugin()) > 0 || slices.ContainsFunc(f.Plugins, func(p daemon.Plugin) bool { return !p.Ready }) {
		return exitUnreachable
	}
	return exitOK
}

// ask has use ask the client that the environment and --server mean, which lives as long.
func (o Options) ask(cmd *cobra.Command, server string, use func(context.Context, client) error) error {
	c, err := o.readConfig()
	if err != nil {
		return err
	}
	return c.ask(cmd, server, use)
}

// ask does the same in an environment that was read.
func (c *config) ask(cmd *cobra.Command, server string, use func(context.Context, client) error) (err error) {
	ctx := cmd.Context()
	of, err := c.open(ctx, server, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, of.Close()) }()
	return use(ctx, of)
}

// open gives the client that the environment asks for; server overrides it if it is
// not empty. The caller closes the client.
func (c *config) open(ctx context.Context, server string, stderr io.Writer) (client, error) {
	given := c.own("SERVER") + "="
	if server != "" {
		c.Server, given = server, "--server "
	}
	if c.Server == "" {
		here := c.daemonHere(ctx)
		if here == "" && !c.namesPlugins() {
			return nil, failf(exitUnreachable, "no daemon answers at %s, and the environment names no plugins: set %s, NETWORK_PLUGIN or PLUGIN_DIR",
				cmp.Or(c.Listen, "-"), c.own("SERVER"))
		}
		c.Server = here
	}
	if c.Server != "" {
		return c.newRemote(given)
	}
	return c.newLocal(ctx, stderr)
}
