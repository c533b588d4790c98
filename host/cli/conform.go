// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/hashicorp/go-plugin/tlsfile"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/conform"
	"github.com/reattach/reattach/host/target"
)

func (o Options) conformCommand() *cobra.Command {
	var name, output string
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "conform ADDR",
		Short: "Test a network plugin, in whatever language, against the protocol",
		Long: `Tests a network plugin, in whatever language it is written, against the protocol: its first
bytes, handshake, sessions and gRPC. Each case has a code, and names the section of PROTOCOL.md that asks for it. Use it on a
plugin of your own: it opens some hundred connections. Those that do not concern a plugin are skipped.

` + exitCodes,
		Example: "  " + o.Name + " conform localhost:7000 -o json",
		Args:    usage(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := target.ValidateHostPort(args[0]); err != nil {
				return &failure{exitUsage, err}
			}
			show, ok := conformFormats[output]
			if !ok {
				return failf(exitUsage, "-o %s: want table or json", output)
			}
			c, err := o.readConfig()
			if err != nil {
				return err
			}
			options, err := c.daemonOptions(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			of := conform.Target{Address: args[0], Handshake: options.Handshake, Timeout: timeout}
			called := cmp.Or(name, nameOf(args[0]))
			if files := c.tlsTo(called); !files.IsZero() {
				if of.TLS, err = tlsfile.Client(files, called, options.Logger); err != nil {
					return &failure{exitUsage, err}
				}
				of.TLS.NextProtos = []string{"h2"}
			}
			if of.Versions, err = options.AllVersions(); err != nil {
				return err
			}
			return runConform(cmd, of, show)
		},
	}
	cmd.Flags().StringVar(&name, "server-name", "", "name that the plugin's certificate must carry (default: the host part of ADDR)")
	outputFlag(cmd, &output, "table", "json")
	cmd.Flags().DurationVar(&timeout, "timeout", 10*time.Second, "how long the plugin has for each answer")
	return cmd
}

// runConform shows each result as it comes. It fails if a case did.
func runConform(cmd *cobra.Command, of conform.Target, show func(io.Writer, conform.Result) error) error {
	counts := make(map[string]int)
	var printed error
	err := conform.Run(cmd.Context(), of, func(r conform.Result) {
		counts[r.Outcome]++
		printed = errors.Join(printed, show(cmd.OutOrStdout(), r))
	})
	switch {
	case errors.Is(err, conform.ErrUnreachable):
		return &failure{exitUnreachable, err}
	case err != nil:
		return err
	case printed != nil:
		return fmt.Errorf("print: %w", printed)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%d ok, %d failed, %d do not apply\n", counts[conform.OK], counts[conform.Failed], counts[conform.Skipped])
	if counts[conform.Failed] > 0 {
		return &failure{code: exitFailed} // said already
	}
	return nil
}

// conformFormats write a result: as a line for people, or one of JSON.
var conformFormats = map[string]func(io.Writer, conform.Result) error{
	"table": func(w io.Writer, r conform.Result) error {
		text := fmt.Sprintf("%-4s  %s  %s", r.Outcome, r.Code, r.Requirement)
		switch r.Outcome {
		case conform.Failed:
			text += fmt.Sprintf(" (PROTOCOL.md, %q)\n           %s", r.Section, oneLine(r.Detail))
		case conform.Skipped:
			text += ": " + r.Detail
		}
		_, err := fmt.Fprintln(w, text)
		return err
	},
	"json": func(w io.Writer, r conform.Result) error { return json.NewEncoder(w).Encode(r) },
}
