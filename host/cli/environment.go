// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"fmt"
	"reflect"
	"strings"
	"text/tabwriter"
)

// variable is one environment variable, as its field in Config declares it.
type variable struct{ name, usual, meaning string }

// environment lists what the host reads.
func environment() []variable {
	var all []variable
	for f := range reflect.TypeFor[Config]().Fields() {
		all = append(all, variable{f.Tag.Get("envconfig"), f.Tag.Get("default"), f.Tag.Get("desc")})
	}
	return all
}

// environmentText is the list for a terminal.
func environmentText() string {
	var b strings.Builder
	b.WriteString("Environment:\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, v := range environment() {
		usual := ""
		if v.usual != "" {
			usual = " (default " + v.usual + ")"
		}
		fmt.Fprintf(table, "  %s\t%s%s\n", v.name, v.meaning, usual)
	}
	_ = table.Flush() // a strings.Builder takes everything
	return b.String()
}

// environmentTable is the list for a page.
func environmentTable() string {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, v := range environment() {
		usual := ""
		if v.usual != "" {
			usual = "`" + v.usual + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.name, usual, v.meaning)
	}
	return b.String()
}
