// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"go.yaml.in/yaml/v3"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
)

// format writes plugins. A table has its head only the first time.
type format func(w io.Writer, plugins []daemon.Plugin, head bool) error

func formats() map[string]format {
	return map[string]format{"table": writeTable, "wide": writeWide, "json": writeJSON, "yaml": writeYAML}
}

// writeTable gives a line to each plugin.
func writeTable(w io.Writer, plugins []daemon.Plugin, head bool) error {
	rows := [][]string{}
	if head {
		rows = append(rows, []string{"PLUGIN", "READY", "KINDS", "PLACEMENT", "RESTARTS", "STATUS"})
	}
	for _, p := range plugins {
		ready, restarts := 0, 0
		var placements []string
		for _, e := range p.Endpoints {
			restarts += e.Restarts
			if e.State == conn.Ready {
				ready++
			}
			if name := e.Placement.String(); !slices.Contains(placements, name) {
				placements = append(placements, name)
			}
		}
		rows = append(rows, []string{
			p.Name, fmt.Sprintf("%d/%d", ready, len(p.Endpoints)), orDash(strings.Join(p.Kinds, ",")),
			orDash(strings.Join(placements, ",")), fmt.Sprint(restarts), statusOf(p),
		})
	}
	return writeRows(w, rows)
}

// statusOf says what is wrong with a plugin, or that nothing is.
func statusOf(p daemon.Plugin) string {
	said := "ok"
	if !p.Ready {
		said = "no endpoint"
	}
	for _, e := range p.Endpoints {
		switch {
		case !p.Ready && e.Error != "":
			return short(e.Error)
		case p.Ready && e.State == conn.TransientFailure:
			said = short(e.ID + ": " + e.Error)
		case e.Warning != "" && said == "ok":
			said = short(e.Warning)
		}
	}
	if len(p.Problems) > 0 && said == "no endpoint" {
		return short(p.Problems[0])
	}
	return said
}

// writeWide gives a line to each endpoint.
func writeWide(w io.Writer, plugins []daemon.Plugin, head bool) error {
	rows := [][]string{}
	if head {
		rows = append(rows, []string{"PLUGIN", "ENDPOINT", "PLACEMENT", "SOURCE", "STATE", "PROTOCOL", "BUILD", "TLS", "RESTARTS", "IN-FLIGHT", "STATUS"})
	}
	for _, p := range plugins {
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
				p.Name, e.Address, e.Placement.String(), e.Source, state, orDash(protocol), orDash(e.Build), orDash(e.TLS),
				fmt.Sprint(e.Restarts), fmt.Sprint(e.InFlight), short(status),
			})
		}
		if len(p.Endpoints) == 0 {
			rows = append(rows, []string{p.Name, "-", "-", "-", "-", "-", "-", "-", "0", "0", statusOf(p)})
		}
	}
	return writeRows(w, rows)
}

func writeRows(w io.Writer, rows [][]string) error {
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := w.Write(text.Bytes())
	return err
}

func writeJSON(w io.Writer, plugins []daemon.Plugin, _ bool) error {
	raw, err := json.MarshalIndent(pluginList{plugins}, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(raw, '\n'))
	return err
}

// writeYAML writes what writeJSON does, as a document of its own.
func writeYAML(w io.Writer, plugins []daemon.Plugin, head bool) error {
	raw, err := json.Marshal(pluginList{plugins})
	if err != nil {
		return err
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(raw, &tree); err != nil { // JSON is YAML, and keeps the order of its members here
		return err
	}
	plain(&tree)
	var text bytes.Buffer
	if !head {
		text.WriteString("---\n")
	}
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	if err := encoder.Encode(&tree); err != nil {
		return err
	}
	_, err = w.Write(text.Bytes())
	return err
}

// plain undoes the style of JSON.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		plain(c)
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// short keeps a cell to one line of sensible length.
func short(s string) string {
	const most = 120
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
