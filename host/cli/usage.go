// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/kelseyhightower/envconfig"
)

const usageFormat = `Usage: basic

Greets through every plugin and says on stdout what each answered. Exits with 1
when a plugin failed. Configured by the environment:

{{range .}}  {{usage_key .}}	{{usage_description .}}{{with usage_default .}} (default {{.}}){{end}}
{{end}}`

// usage answers arguments: the host takes none but a call for help.
func usage(args []string, stdout, stderr io.Writer) int {
	help := []string{"-h", "-help", "--help", "help"}
	if slices.Contains(help, args[0]) {
		return printUsage(stdout, exitOK)
	}
	fmt.Fprintf(stderr, "basic: unexpected argument %q\n\n", args[0])
	return printUsage(stderr, exitUsage)
}

func printUsage(w io.Writer, code int) int {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if err := envconfig.Usagef("", &Config{}, table, usageFormat); err != nil {
		return exitFailed
	}
	if err := table.Flush(); err != nil {
		return exitFailed
	}
	return code
}
