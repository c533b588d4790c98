// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/reattach/reattach/host/cli"
)

// manCommand writes the program's pages for man(1).
func manCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write a page for man(1) of each command into a directory",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return cli.UsageError(errors.New("name the directory; see reattach man --help"))
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root.DisableAutoGenTag = true // two runs write the same
			epoch := time.Unix(0, 0)
			if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "reattach", Date: &epoch}, args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "man -l %s/reattach.1\n", args[0])
			return err
		},
	}
}
