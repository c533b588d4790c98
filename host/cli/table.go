// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin/printable"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
)

// format writes what was found, at the place of page that comes next.
type format func(w io.Writer, all found, p *page) error

// page is what is written one piece after the other.
type page struct {
	// now is what ages in tables are counted to. Zero leaves ages out.
	now time.Time
	// watched says that more may follow: rows begin with the time.
	watched bool
	// begun says that something was written, so that a table has its head.
	begun bool
	// widths are those of the columns so far.
	widths []int
}

func formats() map[string]format {
	return map[string]format{"table": writeTable, "wide": writeWide, "json": writeJSON, "yaml": writeYAML}
}

// writeTable gives a line to each plugin.
func writeTable(w io.Writer, all found, to *page) error {
	rows := [][]string{{"PLUGIN", "READY", "SINCE", "KINDS", "PLACEMENT", "RESTARTS", "STATUS"}}
	for _, p := range all.Plugins {
		ready, restarts := 0, 0
		var placements []string
		for _, e := range p.Endpoints {
			restarts += e.Restarts
			if e.State == conn.Ready && len(e.UnreadyKinds) == 0 && !e.Ejected && !e.Draining {
				ready++
			}
			if name := e.Placement.String(); !slices.Contains(placements, name) {
				placements = append(placements, name)
			}
		}
		rows = append(rows, []string{
			p.Name, fmt.Sprintf("%d/%d", ready, len(p.Endpoints)), to.age(p.Since), cmp.Or(some(p.Kinds), "-"),
			cmp.Or(strings.Join(placements, ","), "-"), fmt.Sprint(restarts), short(statusOf(p)),
		})
	}
	for _, p := range all.ofNoPlugin() {
		rows = append(rows, []string{"-", "-", "-", "-", "-", "-", short(p.String())})
	}
	return to.writeRows(w, rows)
}

// statusOf says what is wrong with a plugin, or that nothing is. Every command shows it.
func statusOf(p daemon.Plugin) string {
	said, departed := "ok", ""
	if !p.Ready {
		said = "no endpoint"
	}
	for _, e := range p.Endpoints {
		switch {
		case !p.Ready && len(e.UnreadyKinds) > 0:
			return e.Warning
		case e.State == conn.Shutdown: // what went wrong before is over
		case e.Departure != conn.Stays:
			departed = cmp.Or(departed, e.ID+": "+causeOf(e))
		case !p.Ready && e.LastError != "":
			return others(p, e.LastError)
		case p.Ready && (e.State == conn.TransientFailure || e.State == conn.Connecting && e.LastError != ""): // it tries again
			said = e.ID + ": " + conn.BareCause(e.LastError)
		case e.Ejected:
			said = e.ID + " is held back from calls: " + e.LastError
		case e.Warning != "" && said == "ok":
			said = e.Warning
		}
	}
	if len(p.Problems) > 0 && said == "no endpoint" {
		return p.Problems[0]
	}
	if said == "ok" || said == "no endpoint" {
		return cmp.Or(departed, said)
	}
	return said
}

// causeOf says what keeps an endpoint from being ready: of a plugin that has left, first of
// all that.
func causeOf(e daemon.Endpoint) string {
	switch {
	case e.State == conn.Shutdown:
		return "its calls may finish, and it gets no new ones"
	case e.Departure == conn.Left:
		return "the plugin has left: " + conn.BareCause(e.LastError)
	}
	return conn.BareCause(e.LastError)
}

// others adds to what is wrong with the first endpoint that there are more, if none is ready.
func others(p daemon.Plugin, said string) string {
	switch n := len(p.Endpoints) - 1; {
	case n == 1:
		return said + " (and 1 other endpoint)"
	case n > 1:
		return fmt.Sprintf("%s (and %d other endpoints)", said, n)
	}
	return said
}

// writeWide gives a line to each endpoint.
func writeWide(w io.Writer, all found, to *page) error {
	rows := [][]string{{"PLUGIN", "ENDPOINT", "PLACEMENT", "SOURCE", "STATE", "SINCE", "PROTOCOL", "BUILD", "TLS", "RESTARTS", "IN-FLIGHT", "STATUS"}}
	for _, p := range all.Plugins {
		for _, e := range p.Endpoints {
			state, protocol, status, since := e.State.String(), "", "ok", e.Since
			if !e.UnreadySince.IsZero() {
				since = e.UnreadySince // not of the last attempt
			}
			if e.Ejected {
				state += " (held back)"
			}
			if e.Departure != conn.Stays {
				state += " (" + string(e.Departure) + ")"
			}
			if e.Protocol != "" {
				protocol = fmt.Sprintf("%s v%d", e.Protocol, e.Version)
			}
			if e.Warning != "" {
				status = e.Warning
			}
			if e.State != conn.Ready {
				status = cmp.Or(causeOf(e), status)
			}
			rows = append(rows, []string{
				p.Name, e.Address, e.Placement.String(), e.Source, state, to.age(since), cmp.Or(protocol, "-"), cmp.Or(e.Build, "-"), cmp.Or(e.TLS, "-"),
				fmt.Sprint(e.Restarts), fmt.Sprint(e.InFlight), short(status),
			})
		}
		if len(p.Endpoints) == 0 {
			rows = append(rows, []string{p.Name, "-", "-", "-", "-", to.age(p.Since), "-", "-", "-", "0", "0", short(statusOf(p))})
		}
	}
	for _, p := range all.ofNoPlugin() {
		rows = append(rows, []string{"-", p.Subject, "-", cmp.Or(p.Source, "-"), "-", "-", "-", "-", "-", "-", "-", short(p.Reason)})
	}
	return to.writeRows(w, rows)
}

// The widths of tables, in columns of a terminal.
const (
	maxRow  = 300
	maxCell = 48 // of a cell
	minLast = 60 // of the last cell, if the others are large
	maxLast = 240
	gap     = 3
)

// age is how long ago something began, in its largest unit: "-" if that is not known.
func (p *page) age(since time.Time) string {
	if since.IsZero() || p.now.IsZero() {
		return "-"
	}
	d := max(0, p.now.Sub(since))
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// writeRows writes rows of at most maxRow columns, the first of which is the head. The
// last cell gets what the others leave.
func (p *page) writeRows(w io.Writer, rows [][]string) error {
	if p.watched {
		for i := range rows {
			rows[i] = append([]string{p.now.Format(time.TimeOnly)}, rows[i]...)
		}
		rows[0][0] = "TIME"
	}
	p.widths = columnWidths(rows, p.widths)
	last := maxRow
	for _, width := range p.widths {
		last -= width + gap
	}
	if p.begun {
		rows = rows[1:]
	}
	p.begun = true
	var text bytes.Buffer
	for _, row := range rows {
		for i, width := range p.widths {
			cell := printable.Cell(row[i], width)
			text.WriteString(cell + strings.Repeat(" ", width-printable.Width(cell)+gap))
		}
		text.WriteString(printable.Cell(row[len(row)-1], min(last, maxLast)) + "\n")
	}
	_, err := w.Write(text.Bytes())
	return err
}

// columnWidths are those of all columns but the last: what their cells need, no less
// than they had before, and less for the widest if the last would not get minLast.
func columnWidths(rows [][]string, before []int) []int {
	widths := make([]int, len(rows[0])-1)
	copy(widths, before)
	sum := gap * len(widths)
	for i := range widths {
		for _, row := range rows {
			widths[i] = max(widths[i], printable.Width(printable.Cell(row[i], maxCell)))
		}
		sum += widths[i]
	}
	for ; sum > maxRow-minLast; sum-- {
		widest := slices.Index(widths, slices.Max(widths))
		widths[widest]--
	}
	return widths
}

// some joins as many names as fit a cell, and counts the others.
func some(names []string) string {
	const room = len(",+9999")
	text := ""
	for i, name := range names {
		if i > 0 {
			name = "," + name
		}
		if len(text)+len(name) > maxCell-room && i < len(names)-1 {
			return fmt.Sprintf("%s,+%d", text, len(names)-i)
		}
		text += name
	}
	return text
}

func writeJSON(w io.Writer, all found, _ *page) error {
	raw, err := json.MarshalIndent(all.orEmpty(), "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(printable.JSON(raw), '\n'))
	return err
}

// short joins the lines of what goes into a cell.
func short(s string) string {
	return strings.Join(strings.Fields(printable.Clip(s, printable.MaxText)), " ")
}
