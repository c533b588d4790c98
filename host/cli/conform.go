// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin/tlsfile"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/conform"
	"github.com/reattach/reattach/host/target"
)

// conformFlags are what the command line of conform says.
type conformFlags struct {
	name, output, cookie string
	versions             []int
	timeout              time.Duration
}

func (o Options) conformCommand() *cobra.Command {
	var f conformFlags
	cmd := &cobra.Command{
		Use:   "conform ADDR",
		Short: "Test a network plugin, in whatever language, against the protocol",
		Long: `Tests a network plugin (host:port or unix:///path), in whatever language it is written, against the protocol: its first
bytes, handshake, sessions and gRPC. Each case has a code, and names the section of PROTOCOL.md that asks for it. Use it on a
plugin of your own: it opens some hundred connections. Those that do not concern a plugin are skipped.

` + exitCodes,
		Example: strings.ReplaceAll(`  NAME conform localhost:7000 -o json
  NAME conform --cookie STORE_PLUGIN=hello --versions 5,6 unix:///run/store.sock`, "NAME", o.Name),
		Args: counted(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			show, ok := conformFormats[f.output]
			if !ok {
				return failf(exitUsage, "-o %s: want table or json", f.output)
			}
			of, err := o.conformTarget(args[0], f, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return runConform(cmd, of, show)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "server-name", "", "name that the plugin's certificate must carry (default: the host part of ADDR, or the socket's name without its ending)")
	outputFlag(cmd, &f.output, "table", "json")
	flags.StringVar(&f.cookie, "cookie", "", "magic cookie of a plugin that is not of this program's contract, KEY=VALUE")
	flags.IntSliceVar(&f.versions, "versions", nil, "app versions of a plugin that is not of this program's contract")
	flags.DurationVar(&f.timeout, "timeout", 10*time.Second, "how long the plugin has for each answer")
	return cmd
}

// conformTarget is the plugin at an address: of this program's contract, but for what the
// flags say of it.
func (o Options) conformTarget(address string, f conformFlags, stderr io.Writer) (of conform.Target, err error) {
	if err := target.ValidateAddress(address); err != nil {
		return of, &failure{exitUsage, err}
	}
	c, err := o.readConfig()
	if err != nil {
		return of, err
	}
	options, err := c.daemonOptions(stderr)
	if err != nil {
		return of, err
	}
	of = conform.Target{Address: address, Handshake: options.Handshake, Timeout: f.timeout}
	if f.cookie != "" {
		if of.Handshake, err = parseCookie("--cookie", f.cookie); err != nil {
			return of, &failure{exitUsage, err}
		}
	}
	called := cmp.Or(f.name, nameOf(address))
	if files := c.tlsTo(called); !files.IsZero() {
		if of.TLS, err = tlsfile.Client(files, called, options.Logger); err != nil {
			return of, &failure{exitUsage, err}
		}
		of.TLS.NextProtos = []string{"h2"}
	}
	if len(f.versions) == 0 {
		of.Versions, err = options.AllVersions()
		return of, err
	}
	of.Versions = conform.AnyKinds(f.versions...)
	return of, nil
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
