// SPDX-License-Identifier: MPL-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/reattach/reattach/cmd/reattach/scaffold"
	"github.com/reattach/reattach/host/cli"
)

func newCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "new",
		Short: "Write a module to start from: a plugin, a host, or a contract",
		Long: `Writes a module that builds, tests, runs and deploys as it is. It has a contract, which is
a Go interface and what the generator makes of it; a plugin and a host have both sides, and
make run has them side by side.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return cli.UsageError(fmt.Errorf("%q is no kind of module: want plugin, host or contract", args[0]))
			}
			return cmd.Help()
		},
	}
	for _, kind := range []struct{ name, short string }{
		{scaffold.Plugin, "Write a plugin, with a host to try it"},
		{scaffold.Host, "Write a host, with a plugin to try it"},
		{scaffold.Contract, "Write a contract for plugins and hosts in modules of their own"},
	} {
		cmd.AddCommand(newKind(kind.name, kind.short))
	}
	return cmd
}

// checkout gives the directory of Reattach's source whose bin/ this program lies in, or "".
func checkout() string {
	program, err := os.Executable()
	if err != nil {
		return ""
	}
	source := filepath.Dir(filepath.Dir(program))
	if _, err := os.Stat(filepath.Join(source, "forks", "go-plugin", "go.mod")); err != nil {
		return ""
	}
	return source
}

func newKind(kind, short string) *cobra.Command {
	o := scaffold.Options{Kind: kind, Version: scaffold.Version()}
	cmd := &cobra.Command{
		Use:               kind + " NAME",
		Short:             short,
		Example:           "  reattach new " + kind + " greeter",
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return cli.UsageError(fmt.Errorf("give a name, such as greeter; see %s --help", cmd.CommandPath()))
			}
			o.Name, o.Log = args[0], cmd.ErrOrStderr()
			o.Source = cmp.Or(o.Source, os.Getenv("REATTACH_SOURCE"))
			if o.Source == "" && o.Version == "" {
				o.Source = checkout()
			}
			err := scaffold.Write(cmd.Context(), o)
			if errors.Is(err, scaffold.ErrOptions) {
				return cli.UsageError(err)
			}
			if err != nil {
				return err
			}
			next := "make run"
			if kind == scaffold.Contract {
				next = "make test"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "cd %s && %s\n", cmp.Or(o.Dir, o.Name), next)
			return err
		},
	}
	cmd.Flags().StringVar(&o.Module, "module", "", "path of the module, which ends with /NAME (default example.com/NAME)")
	if kind != scaffold.Contract {
		cmd.Flags().StringVar(&o.Contract, "contract-module", "", "module of a contract that others keep: its directory, or PATH@VERSION (default: one of its own)")
	}
	cmd.Flags().StringVar(&o.Dir, "dir", "", "directory to make (default NAME)")
	cmd.Flags().StringVar(&o.Source, "reattach-source", "", "directory of Reattach's source, as long as there is no release (default: REATTACH_SOURCE, or else the checkout that this program lies in)")
	return cmd
}
