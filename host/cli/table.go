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
	"text/tabwriter"

	"github.com/hashicorp/go-plugin/printable"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
)

// format writes what was found. A table has its head only the first time.
type format func(w io.Writer, all found, head bool) error

func formats() map[string]format {
	return map[string]format{"table": writeTable, "wide": writeWide, "json": writeJSON, "yaml": writeYAML}
}

// writeTable gives a line to each plugin.
func writeTable(w io.Writer, all found, head bool) error {
	rows := [][]string{}
	if head {
		rows = append(rows, []string{"PLUGIN", "READY", "KINDS", "PLACEMENT", "RESTARTS", "STATUS"})
	}
	for _, p := range all.Plugins {
		ready, restarts := 0, 0
		var placements []string
		for _, e := range p.Endpoints {
			restarts += e.Restarts
			if e.State == conn.Ready && len(e.UnreadyKinds) == 0 {
				ready++
			}
			if name := e.Placement.String(); !slices.Contains(placements, name) {
				placements = append(placements, name)
			}
		}
		rows = append(rows, []string{
			p.Name, fmt.Sprintf("%d/%d", ready, len(p.Endpoints)), cmp.Or(some(p.Kinds), "-"),
			cmp.Or(strings.Join(placements, ","), "-"), fmt.Sprint(restarts), short(statusOf(p)),
		})
	}
	for _, p := range all.ofNoPlugin() {
		rows = append(rows, []string{"-", "-", "-", "-", "-", short(p.String())})
	}
	return writeRows(w, rows)
}

// statusOf says what is wrong with a plugin, or that nothing is. Every command shows it.
func statusOf(p daemon.Plugin) string {
	said := "ok"
	if !p.Ready {
		said = "no endpoint"
	}
	for _, e := range p.Endpoints {
		switch {
		case !p.Ready && len(e.UnreadyKinds) > 0:
			return e.Warning
		case !p.Ready && e.Error != "":
			return e.Error
		case p.Ready && e.State == conn.TransientFailure:
			said = e.ID + ": " + e.Error
		case e.Warning != "" && said == "ok":
			said = e.Warning
		}
	}
	if len(p.Problems) > 0 && said == "no endpoint" {
		return p.Problems[0]
	}
	return said
}

// writeWide gives a line to each endpoint.
func writeWide(w io.Writer, all found, head bool) error {
	rows := [][]string{}
	if head {
		rows = append(rows, []string{"PLUGIN", "ENDPOINT", "PLACEMENT", "SOURCE", "STATE", "PROTOCOL", "BUILD", "TLS", "RESTARTS", "IN-FLIGHT", "STATUS"})
	}
	for _, p := range all.Plugins {
		for _, e := range p.Endpoints {
			state, protocol, status := e.State.String(), "", "ok"
			if e.Ejected {
				state += " (held back)"
			}
			if e.Protocol != "" {
				protocol = fmt.Sprintf("%s v%d", e.Protocol, e.Version)
			}
			if e.Warning != "" {
				status = e.Warning
			}
			if e.State != conn.Ready && e.Error != "" {
				status = e.Error
			}
			rows = append(rows, []string{
				p.Name, e.Address, e.Placement.String(), e.Source, state, cmp.Or(protocol, "-"), cmp.Or(e.Build, "-"), cmp.Or(e.TLS, "-"),
				fmt.Sprint(e.Restarts), fmt.Sprint(e.InFlight), short(status),
			})
		}
		if len(p.Endpoints) == 0 {
			rows = append(rows, []string{p.Name, "-", "-", "-", "-", "-", "-", "-", "0", "0", short(statusOf(p))})
		}
	}
	for _, p := range all.ofNoPlugin() {
		rows = append(rows, []string{"-", p.Subject, "-", cmp.Or(p.Source, "-"), "-", "-", "-", "-", "-", "-", short(p.Reason)})
	}
	return writeRows(w, rows)
}

// The widths of tables, in columns of a terminal.
const (
	maxRow  = 300
	maxCell = 48 // of a cell
	minLast = 60 // of the last cell, if the others are large
	maxLast = 240
	gap     = 3
)

// writeRows writes rows of at most maxRow columns. The last cell gets what the
// others leave.
func writeRows(w io.Writer, rows [][]string) error {
	widths := columnWidths(rows)
	last := maxRow
	for _, width := range widths {
		last -= width + gap
	}
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, gap, ' ', 0)
	for _, row := range rows {
		for i, width := range append(widths, min(last, maxLast)) {
			row[i] = printable.Cell(row[i], width)
		}
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := w.Write(text.Bytes())
	return err
}

// columnWidths are those of all columns but the last: what their cells need, and
// less for the widest if the last would not get minLast.
func columnWidths(rows [][]string) []int {
	if len(rows) == 0 {
		return nil
	}
	widths := make([]int, len(rows[0])-1)
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

func writeJSON(w io.Writer, all found, _ bool) error {
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
