// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reattach/reattach/gen"
	"github.com/reattach/reattach/host/cli"
)

// usageCode is what gen.Main gives for a command line that it does not understand.
const usageCode = 2

// genCommand is the generator, whose flags are its own.
func genCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "gen [FLAGS] [INTERFACE]...",
		Short:              "Write what carries the interfaces of a Go package between hosts and plugins",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			var said strings.Builder
			code := gen.Main(cmd.Context(), args, cmd.OutOrStdout(), &said)
			if code == 0 {
				_, err := cmd.ErrOrStderr().Write([]byte(said.String()))
				return err
			}
			err := errors.New(strings.TrimSpace(said.String()))
			if code == usageCode {
				return cli.UsageError(err)
			}
			return err
		},
	}
}
