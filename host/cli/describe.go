// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/hashicorp/go-plugin/printable"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/daemon"
)

func (o Options) describeCommand() *cobra.Command {
	var server, output string
	cmd := &cobra.Command{
		Use:   "describe PLUGIN",
		Short: "Show the kinds of a plugin, and how their methods are called",
		Long: `Shows the kinds of a plugin and their methods, with what is declared of each: whether it is
idempotent, how often it is repeated, and how long it may take.

` + exitCodes,
		Example:           "  " + o.Name + " describe pluginzh",
		Args:              counted(cobra.ExactArgs(1)),
		ValidArgsFunction: o.completePlugin,
		RunE: func(cmd *cobra.Command, args []string) error {
			show, ok := map[string]func(io.Writer, []daemon.KindInfo) error{"table": writeKinds, "json": writeKindsJSON}[output]
			if !ok {
				return failf(exitUsage, "-o %s: want table or json", output)
			}
			return o.ask(cmd, server, func(ctx context.Context, of client) error {
				var kinds []daemon.KindInfo
				var note string
				err := waiting{o, cmd.ErrOrStderr(), of, args[0]}.run(ctx, func(ctx context.Context) (err error) {
					kinds, note, err = of.Describe(ctx, args[0])
					return err
				})
				if err != nil {
					return err
				}
				if len(kinds) == 0 {
					return failf(exitFailed, "plugin %s does not tell what it serves, as those of the original library over net/rpc", args[0])
				}
				if note != "" {
					if _, err := fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s\n", o.Name, note); err != nil {
						return err
					}
				}
				return show(cmd.OutOrStdout(), kinds)
			})
		},
	}
	o.serverFlag(cmd, &server)
	outputFlag(cmd, &output, "table", "json")
	return cmd
}

// writeKinds gives a line to each kind and each method.
func writeKinds(w io.Writer, kinds []daemon.KindInfo) error {
	var b strings.Builder
	for _, k := range kinds {
		head := k.Name
		if k.Interface != "" {
			head += "  " + k.Interface
		}
		fmt.Fprintln(&b, printable.Cell(head, maxColumns))
		for _, m := range k.Methods {
			fmt.Fprintf(&b, "  %s\n", printable.Cell(m.Signature, maxColumns))
			if said := declared(m); said != "" {
				fmt.Fprintf(&b, "      %s\n", printable.Cell(said, maxColumns))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// declared says how a method is called, in words.
func declared(m daemon.Method) string {
	var said []string
	if m.Idempotent {
		said = append(said, fmt.Sprintf("idempotent, repeats: %d", m.Repeats))
	}
	if m.Timeout != "" {
		said = append(said, "within "+m.Timeout)
	}
	switch {
	case m.Stream && strings.Contains(m.Signature, "iter.Seq2"), m.Stream && strings.Contains(m.Signature, "<-chan"):
		said = append(said, "a stream of Go's: reattach call calls it, over gRPC")
	case m.Stream && m.NotCallable != "":
		said = append(said, "a stream, called without --server")
	case m.NotCallable != "":
		said = append(said, "not by JSON: "+m.NotCallable)
	}
	return strings.Join(said, "; ")
}

func writeKindsJSON(w io.Writer, kinds []daemon.KindInfo) error {
	raw, err := json.MarshalIndent(kinds, "", "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(append(printable.JSON(raw), '\n'))
	return err
}

// outputFlag adds the flag for a format, the first of which is the usual one.
func outputFlag(cmd *cobra.Command, to *string, formats ...string) {
	said := strings.Join(formats[:len(formats)-1], ", ") + " or " + formats[len(formats)-1]
	cmd.Flags().StringVarP(to, "output", "o", cmp.Or(formats...), said)
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // fails for a flag that there is not
}
