// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/hashicorp/go-plugin/printable"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/fleet"
)

func (o Options) eventsCommand() *cobra.Command {
	var server, output string
	var plugins []string
	var follow bool
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Show when endpoints came to their states, and what happens to them",
		Long: `Shows for each endpoint when it came to the state in which it is. With --follow it goes on
with what happens, until it is interrupted, also of a daemon that was away meanwhile.

` + exitCodes,
		Example: "  " + o.Name + " events --follow --plugin pluginzh",
		Args:    usage(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := &eventWriter{to: cmd.OutOrStdout(), json: output == "json", only: plugins}
			if output != "table" && !w.json {
				return failf(exitUsage, "-o %s: want table or json", output)
			}
			return o.ask(cmd, server, func(ctx context.Context, of client) error {
				if follow {
					return followEvents(ctx, o.patient(of, cmd.ErrOrStderr()), w)
				}
				now, err := of.Plugins(ctx)
				if err != nil {
					return err
				}
				return w.write(eventsOf(now)...)
			})
		},
	}
	o.serverFlag(cmd, &server)
	outputFlag(cmd, &output, "table", "json")
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on, and show what happens")
	cmd.Flags().StringSliceVar(&plugins, "plugin", nil, "names of plugins; others are left out")
	_ = cmd.RegisterFlagCompletionFunc("plugin", o.completePlugin) // fails for a flag that there is not
	return cmd
}

// followEvents writes when each endpoint came to its state, and then what happens. What led
// to a state that was written is left out.
func followEvents(ctx context.Context, of client, w *eventWriter) error {
	listed := make(map[string]time.Time) // by endpoint: when it came to the state that was written last
	return of.Events(ctx, func(now found) error {
		news := slices.DeleteFunc(eventsOf(now), func(e daemon.Event) bool { return !e.Time.After(listed[e.Endpoint]) })
		for _, e := range news {
			listed[e.Endpoint] = e.Time
		}
		return w.write(news...)
	}, func(e daemon.Event) error {
		if e.Endpoint != "" && !e.Time.After(listed[e.Endpoint]) {
			return nil
		}
		listed[e.Endpoint] = e.Time // as the next list has it, after the way to the daemon was lost
		return w.write(e)
	})
}

// eventsOf are the events that led to what was found, in the order of their times.
func eventsOf(now found) []daemon.Event {
	var events []daemon.Event
	for _, p := range now.Plugins {
		for _, e := range p.Endpoints {
			event := daemon.Event{Time: e.Since, Type: fleet.StateChanged, Plugin: p.Name, Endpoint: e.ID, To: e.State}
			if e.State != conn.Ready {
				event.Cause = e.LastError
			}
			events = append(events, event)
		}
	}
	slices.SortStableFunc(events, func(a, b daemon.Event) int { return a.Time.Compare(b.Time) })
	return events
}

// eventWriter writes events as they come: as rows of a table, or as a line of JSON each.
type eventWriter struct {
	to   io.Writer
	json bool
	only []string // names of plugins; empty for all
	page page
}

func (w *eventWriter) write(events ...daemon.Event) error {
	rows := [][]string{{"TIME", "PLUGIN", "ENDPOINT", "EVENT", "STATE", "CAUSE"}}
	for _, e := range events {
		if len(w.only) > 0 && !slices.Contains(w.only, e.Plugin) {
			continue
		}
		if w.json {
			raw, err := json.Marshal(e)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w.to, "%s\n", printable.JSON(raw)); err != nil {
				return err
			}
			continue
		}
		state := "-"
		switch {
		case e.From != e.To && e.From != conn.Idle:
			state = e.From.String() + " to " + e.To.String()
		case e.Type == fleet.StateChanged:
			state = e.To.String()
		}
		rows = append(rows, []string{
			e.Time.Local().Format(time.DateTime), e.Plugin, cmp.Or(e.Endpoint, "-"), string(e.Type), state, cmp.Or(short(e.Cause), "-"),
		})
	}
	if w.json || len(rows) == 1 && w.page.begun {
		return nil
	}
	return w.page.writeRows(w.to, rows)
}
