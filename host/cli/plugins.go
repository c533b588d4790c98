// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/target"
)

func (o Options) pluginsCommand() *cobra.Command {
	var server, output string
	var watch bool
	cmd := &cobra.Command{
		Use:   "plugins",
		Short: "Show every plugin and how it fares",
		Long: `Shows every plugin and how it fares, and what was found and cannot be used. It exits with 3
if there is such, or a plugin has no endpoint that takes calls. With --watch it shows what changed until it is interrupted,
also of a daemon that was away meanwhile.

` + exitCodes,
		Args: usage(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			format, ok := formats()[output]
			if !ok {
				return failf(exitUsage, "-o %s: want table, wide, json or yaml", output)
			}
			return o.ask(cmd, server, func(ctx context.Context, of client) error {
				if watch {
					return o.untilSynced(ctx, of, cmd.ErrOrStderr(), func(ctx context.Context) error {
						return watchPlugins(ctx, o.patient(of, cmd.ErrOrStderr()).Watch, format, cmd.OutOrStdout())
					})
				}
				return o.untilTried(ctx, of, cmd.ErrOrStderr(), func(ctx context.Context) error {
					return listPlugins(ctx, of, format, cmd.OutOrStdout())
				})
			})
		},
	}
	o.serverFlag(cmd, &server)
	outputFlag(cmd, &output, "table", "wide", "json", "yaml")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on, and show what changes")
	return cmd
}

func listPlugins(ctx context.Context, of client, show format, w io.Writer) error {
	now, err := of.Plugins(ctx)
	if err != nil {
		return err
	}
	if err := show(w, now, &page{now: time.Now()}); err != nil {
		return err
	}
	if code := now.code(); code != exitOK {
		return &failure{code: code} // shown already
	}
	return nil
}

// watchPlugins shows all that was found, and then what looks different.
func watchPlugins(ctx context.Context, watch func(context.Context, func(found) error) error, show format, w io.Writer) error {
	shown := make(map[string]string)
	told := make(map[target.Problem]bool)
	to := &page{watched: true}
	return watch(ctx, func(all found) error {
		var changed found
		now := make(map[string]string, len(all.Plugins))
		for _, p := range all.Plugins {
			var text strings.Builder
			if err := show(&text, found{Plugins: []daemon.Plugin{p}}, &page{begun: true}); err != nil {
				return err
			}
			now[p.Name] = text.String()
			if shown[p.Name] != now[p.Name] {
				changed.Plugins = append(changed.Plugins, p)
			}
		}
		for name := range shown {
			if _, still := now[name]; !still {
				changed.Plugins = append(changed.Plugins, daemon.Plugin{Name: name})
			}
		}
		still := make(map[target.Problem]bool)
		for _, p := range all.ofNoPlugin() {
			if still[p] = true; !told[p] {
				changed.Problems = append(changed.Problems, p)
			}
		}
		shown, told = now, still
		if len(changed.Plugins)+len(changed.Problems) == 0 {
			return nil
		}
		to.now = time.Now()
		return show(w, changed, to)
	})
}
