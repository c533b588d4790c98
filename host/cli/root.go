// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/hashicorp/go-plugin"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/visit"
)

// command builds the command line. Nothing of it is shared between two runs.
func (h Host) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "basic",
		Short: "Use plugins wherever they run",
		Long: `Without a command, basic greets through every plugin that it is pointed at and says
on stdout what each answered.

` + environmentText() + "\n" + exitCodes,
		Args:          usage(noArguments),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfig()
			if err != nil {
				return err
			}
			return visitAll(cmd.Context(), c, h.Handshake, h.Visits(c), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return failf(exitUsage, "%w; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(h.serveCommand(), h.pluginsCommand(), h.callCommand(), h.probeCommand(), versionCommand())
	return root
}

// noArguments is for commands that take none. cobra's own says little.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
}

// visitAll visits every plugin that c points at, once.
func visitAll(ctx context.Context, c Config, handshake plugin.HandshakeConfig, kinds []visit.Kind, stdout, stderr io.Writer) error {
	places, err := findPlaces(c, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "basic: %v\n", err)
	}
	logger := c.logger(stderr)
	reports := visit.All(ctx, visit.Options{
		Kinds:         kinds,
		Versions:      c.ContractVersions,
		AttachTimeout: c.AttachTimeout,
		CallTimeout:   c.CallTimeout,
		TLS:           c.tls(),
		PlainPlugins:  c.TLSPlainPlugins,
		Load:          loader(handshake, logger),
		Logger:        logger,
	}, places)
	if err := printReports(stdout, reports); err != nil {
		return fmt.Errorf("print the results: %w", err)
	}
	switch {
	case ctx.Err() != nil:
		return failf(exitInterrupted, "interrupted")
	case err != nil, slices.ContainsFunc(reports, visit.Report.Failed):
		return &failure{code: exitFailed} // said already
	}
	return nil
}
