// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/kelseyhightower/envconfig"
)

// variable is one environment variable, as its field declares it.
type variable struct{ name, usual, meaning string }

// listed is how envconfig writes what it reads, for environment.
const listed = `{{range .}}{{printf "%q %q %q\n" (usage_key .) (usage_default .) (usage_description .)}}{{end}}`

// environment lists what the program reads.
func (o Options) environment() []variable {
	var text bytes.Buffer
	c := config{program: o}
	for _, part := range c.parts() {
		if err := envconfig.Usagef(part.prefix, part.fields, &text, listed); err != nil {
			continue // no pointer to a struct: readConfig says so
		}
	}
	var all []variable
	for {
		var v variable
		if _, err := fmt.Fscanf(&text, "%q %q %q\n", &v.name, &v.usual, &v.meaning); err != nil {
			return all // at the end
		}
		if v.name == pluginDir {
			v.usual = o.PluginDir
		}
		all = append(all, v)
	}
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
