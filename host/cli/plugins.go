// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/daemon"
)

func (h Host) pluginsCommand() *cobra.Command {
	var server, output string
	var watch bool
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "Show every plugin and how it fares",
		Long: `Shows every plugin and how it fares. It exits with 1 if a plugin has no endpoint that
takes calls. With --watch it shows what changed until it is interrupted.

` + exitCodes,
		Args: usage(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			format, ok := formats()[output]
			if !ok {
				return failf(exitUsage, "-o %s: want table, wide, json or yaml", output)
			}
			c, err := readConfig()
			if err != nil {
				return err
			}
			if server != "" {
				c.Server = server
			}
			of, err := h.open(cmd.Context(), c, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, of.Close()) }()
			if watch {
				return watchPlugins(cmd.Context(), of, format, cmd.OutOrStdout())
			}
			return listPlugins(cmd.Context(), of, format, cmd.OutOrStdout())
		},
	}
	serverFlag(cmd, &server)
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table, wide, json or yaml")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on, and show what changes")
	return cmd
}

func listPlugins(ctx context.Context, of client, show format, w io.Writer) error {
	plugins, err := of.Plugins(ctx)
	if err != nil {
		return err
	}
	if err := show(w, plugins, true); err != nil {
		return err
	}
	if !slices.ContainsFunc(plugins, func(p daemon.Plugin) bool { return !p.Ready }) {
		return nil
	}
	return &failure{code: exitFailed} // shown already
}

// watchPlugins shows all plugins, and then those that look different.
func watchPlugins(ctx context.Context, of client, show format, w io.Writer) error {
	shown := make(map[string]string)
	first := true
	err := of.Watch(ctx, func(plugins []daemon.Plugin) error {
		changed := make([]daemon.Plugin, 0, len(plugins))
		now := make(map[string]string, len(plugins))
		for _, p := range plugins {
			var text strings.Builder
			if err := show(&text, []daemon.Plugin{p}, false); err != nil {
				return err
			}
			now[p.Name] = text.String()
			if shown[p.Name] != now[p.Name] {
				changed = append(changed, p)
			}
		}
		for name := range shown {
			if _, still := now[name]; !still {
				changed = append(changed, daemon.Plugin{Name: name})
			}
		}
		shown = now
		if len(changed) == 0 {
			return nil
		}
		defer func() { first = false }()
		return show(w, changed, first)
	})
	return err
}
