// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"text/tabwriter"
)

// variable is one environment variable, as its field declares it.
type variable struct{ name, usual, meaning string }

// words are the parts of a field's name, as envconfig splits them.
var words = regexp.MustCompile(`[A-Z]+[a-z0-9]*`)

// environment lists what the program reads.
func (o Options) environment() []variable {
	var all []variable
	c := config{program: o}
	for _, part := range c.parts() {
		for f := range reflect.TypeOf(part.fields).Elem().Fields() {
			if !f.IsExported() {
				continue
			}
			name := f.Tag.Get("envconfig")
			if name == "" {
				name = strings.ToUpper(strings.Join(words.FindAllString(f.Name, -1), "_"))
			}
			if part.prefix != "" {
				name = part.prefix + "_" + name
			}
			all = append(all, variable{name, f.Tag.Get("default"), f.Tag.Get("desc")})
		}
	}
	return all
}

// environmentText is the list for a terminal.
func (o Options) environmentText() string {
	var b strings.Builder
	b.WriteString("Environment:\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, v := range o.environment() {
		usual := ""
		if v.usual != "" {
			usual = " (default " + v.usual + ")"
		}
		fmt.Fprintf(table, "  %s\t%s%s\n", v.name, v.meaning, usual)
	}
	_ = table.Flush() // a strings.Builder takes everything
	return b.String()
}

// EnvironmentTable lists what the program reads from its environment, as a table in
// Markdown for its documentation.
func (o Options) EnvironmentTable() string {
	var b strings.Builder
	b.WriteString("| variable | default | meaning |\n|---|---|---|\n")
	for _, v := range o.withDefaults().environment() {
		usual := ""
		if v.usual != "" {
			usual = "`" + v.usual + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.name, usual, v.meaning)
	}
	return b.String()
}
