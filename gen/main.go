// SPDX-License-Identifier: MPL-2.0

package gen

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
)

// Main is the command line: flags, and the names of interfaces. It returns the exit code: 0,
// 1 for what was refused or is not up to date, 2 for a command line that is not understood.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := Options{Log: stdout}
	flags := flag.NewFlagSet("reattach gen", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.Dir, "C", ".", "the directory of the contract's package")
	flags.BoolVar(&o.Check, "check", false, "write nothing: fail if something would be written, or breaks peers")
	flags.StringVar(&o.Against, "against", "", "compare with this contract.json, such as that of the last release")
	flags.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "usage: reattach gen [flags] [interface ...]\n\n"+
			"Writes what carries the interfaces of a Go package between hosts and plugins.")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	o.Interfaces = flags.Args()
	if err := Run(ctx, o); err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}
