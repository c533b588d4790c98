// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// command builds the command line. Nothing of it is shared between two runs.
func (o Options) command() *cobra.Command {
	root := &cobra.Command{
		Use:     o.Name,
		Short:   o.Short,
		Long:    o.long() + o.environmentText() + "\n" + exitCodes,
		Version: versionText(),
		Args:    usage(knownCommand),

		SuggestionsMinimumDistance: 2,

		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.AnyPlugin {
				return cmd.Help()
			}
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
	root.SetVersionTemplate(o.Name + " {{.Version}}\n")
	if !o.AnyPlugin {
		root.AddCommand(o.serveCommand())
	}
	root.AddCommand(o.attachCommand(), o.exposeCommand(), o.pluginsCommand(), o.describeCommand(), o.callCommand(), o.eventsCommand(),
		o.probeCommand(), o.doctorCommand(), o.conformCommand(), o.versionCommand())
	if o.Extend != nil {
		o.Extend(root)
	}
	return root
}

// long says what the program is, and what it does without a command.
func (o Options) long() string {
	if o.AnyPlugin {
		return o.Short + ".\n\n"
	}
	return fmt.Sprintf(`%s.

Without a command, %s attaches to every plugin that it is pointed at, uses each once,
and says on stdout what came of it.

`, o.Short, o.Name)
}

// knownCommand is for the program itself: what it does not know is a command mistyped.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 {
		return fmt.Errorf("unknown command %q: did you mean %s?", args[0], strings.Join(like, " or "))
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// noArguments is for commands that take none. cobra's own says little.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
}
