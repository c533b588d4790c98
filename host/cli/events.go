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
		Short: "Show what has happened to endpoints, and when they came to their states",
		Long: `Shows what has happened, as far as the daemon keeps it, and for each endpoint when it came to
the state in which it is. With --follow it goes on with what happens, until it is interrupted,
also of a daemon that was away meanwhile. An attempt to reach an endpoint is a row when it has
ended; -o json has its beginning as well.

` + exitCodes,
		Example: "  " + o.Name + " events --follow --plugin pluginzh",
		Args:    usage(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := &eventWriter{to: cmd.OutOrStdout(), json: output == "json", only: plugins}
			if output != "table" && !w.json {
				return failf(exitUsage, "-o %s: want table or json", output)
			}
			return o.ask(cmd, server, func(ctx context.Context, of client) error {
				log := &eventLog{to: w}
				return o.untilTried(ctx, of, cmd.ErrOrStderr(), func(ctx context.Context) error {
					if follow {
						return log.follow(ctx, o.patient(of, cmd.ErrOrStderr()), func(unknown string) { o.sayWait(cmd.ErrOrStderr(), unknown) })
					}
					now, err := of.LookBack(ctx)
					if err != nil {
						return err
					}
					if name, is := now.unknownOf(plugins); is {
						return now.unknown(name)
					}
					return log.list(now)
				})
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

// unknownOf gives the first of the names, if any, of which there is no plugin, and nothing is
// kept of one that there was.
func (l lookBack) unknownOf(names []string) (name string, is bool) {
	known := l.names()
	i := slices.IndexFunc(names, func(name string) bool {
		return !slices.Contains(known, name) && !slices.ContainsFunc(l.Earlier, func(e daemon.Past) bool { return e.Plugin == name })
	})
	if i < 0 {
		return "", false
	}
	return names[i], true
}

// eventLog writes what happened, each thing once.
type eventLog struct {
	to     *eventWriter
	listed map[string]time.Time // by endpoint or plugin: the newest that was written
	newest time.Time            // of all
}

// follow writes what is known of what happened, and then what happens. A plugin that is unknown at
// first may come: note is told, once, that it is waited for.
func (l *eventLog) follow(ctx context.Context, of client, note func(unknown string)) error {
	return of.Events(ctx, func(now lookBack) error {
		if name, is := now.unknownOf(l.to.only); is && l.listed == nil {
			note(unfound(now.found, name))
		}
		return l.list(now)
	}, l.show)
}

// list writes what led to the present state, as far as it was not written before.
func (l *eventLog) list(now lookBack) error {
	var news []daemon.Past
	before, newest := l.listed, l.newest
	l.listed = make(map[string]time.Time) // what is not there any more is forgotten
	for _, e := range eventsOf(now) {
		at := latest(e.Time, e.Until)
		known := before[subjectOf(e.Event)]
		if at.After(known) && (e.kept && at.After(newest) || !e.kept) {
			news = append(news, e.Past)
		}
		l.note(e.Event, latest(at, known))
	}
	return l.to.write(news...)
}

// show writes what has happened now. A change of state that led to one which was listed is
// left out: a daemon of an earlier build tells it all the same. So is in a table the beginning
// of an attempt, as the daemon keeps none either: its end has the cause.
func (l *eventLog) show(e daemon.Event) error {
	if e.Type == fleet.StateChanged && !e.Time.After(l.listed[e.Endpoint]) {
		return nil
	}
	l.note(e, e.Time)
	if e.Type == fleet.Withdrawn {
		delete(l.listed, e.Endpoint)
	}
	if e.BeginsAttempt() && !l.to.json {
		return nil
	}
	return l.to.write(daemon.Past{Event: e})
}

func (l *eventLog) note(e daemon.Event, at time.Time) {
	of := subjectOf(e)
	l.listed[of] = latest(l.listed[of], at)
	l.newest = latest(l.newest, at)
}

// subjectOf is the endpoint, or the plugin, that an event is about.
func subjectOf(e daemon.Event) string { return cmp.Or(e.Endpoint, e.Plugin) }

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// event is one that the daemon has kept, or one that a state tells.
type event struct {
	daemon.Past
	kept bool
}

// eventsOf are the events that led to what was found, in the order of their times: those
// that the daemon has kept, and for each endpoint how it came to its state, if that is not
// among them.
func eventsOf(now lookBack) []event {
	var events []event
	kept := make(map[string]bool)
	for _, e := range now.Earlier {
		events = append(events, event{e, true})
		if e.Type == fleet.StateChanged || e.Type == fleet.Replaced {
			kept[e.Endpoint+" "+latest(e.Time, e.Until).UTC().Format(time.RFC3339Nano)] = true
		}
	}
	for _, p := range now.Plugins {
		for _, e := range p.Endpoints {
			if kept[e.ID+" "+e.Since.UTC().Format(time.RFC3339Nano)] {
				continue
			}
			at := daemon.Event{Time: e.Since, Type: fleet.StateChanged, Plugin: p.Name, Endpoint: e.ID, To: e.State}
			if e.State == conn.TransientFailure || e.State == conn.Connecting && e.Failures > 0 {
				at.Cause, at.Departure = e.LastError, e.Departure
			}
			events = append(events, event{daemon.Past{Event: at}, false})
		}
	}
	slices.SortStableFunc(events, func(a, b event) int { return a.Time.Compare(b.Time) })
	return events
}

// zonedTime is how times are shown: those of several machines are compared, and of a pod.
const zonedTime = "2006-01-02 15:04:05Z07:00"

// eventWriter writes events as they come: as rows of a table, or as a line of JSON each.
type eventWriter struct {
	to   io.Writer
	json bool
	only []string // names of plugins; empty for all
	page page
}

func (w *eventWriter) write(events ...daemon.Past) error {
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
		case e.Endpoint == "": // the plugin has none
		case e.From != e.To && e.From != conn.Idle:
			state = e.From.String() + " to " + e.To.String()
		case e.Type == fleet.StateChanged:
			state = e.To.String()
		}
		if e.Departure != conn.Stays {
			state += " (" + string(e.Departure) + ")"
		}
		rows = append(rows, []string{
			e.Time.Local().Format(zonedTime), e.Plugin, cmp.Or(e.Endpoint, "-"), string(e.Type), state, cmp.Or(short(conn.BareCause(e.Cause))+repeated(e), "-"),
		})
	}
	if w.json || len(rows) == 1 && w.page.begun {
		return nil
	}
	return w.page.writeRows(w.to, rows)
}

// repeated says how often something has happened, if that is more than once.
func repeated(e daemon.Past) string {
	if e.Times < 2 {
		return ""
	}
	return fmt.Sprintf(" (%d times, until %s)", e.Times, e.Until.Local().Format(zonedTime))
}
