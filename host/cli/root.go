// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// command builds the command line. Nothing of it is shared between two runs.
func (o Options) command() *cobra.Command {
	root := &cobra.Command{
		Use:   o.Name,
		Short: o.Short,
		Long: fmt.Sprintf(`%s.

Without a command, %s attaches to every plugin that it is pointed at, uses each once,
and says on stdout what came of it.

`, o.Short, o.Name) + o.environmentText() + "\n" + exitCodes,
		Args:          usage(noArguments),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := o.readConfig()
			if err != nil {
				return err
			}
			return c.useOnce(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	if o.called != "" {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: o.called}
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return failf(exitUsage, "%w; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(o.serveCommand(), o.attachCommand(), o.exposeCommand(), o.pluginsCommand(), o.callCommand(), o.probeCommand(), o.doctorCommand(), o.conformCommand(), o.versionCommand())
	return root
}

// noArguments is for commands that take none. cobra's own says little.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
}
