// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (o Options) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say what this binary was built from",
		Args:  usage(noArguments),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), o.Name+" "+versionText())
			return err
		},
	}
}

// versionText gives "v1.2.3 1a2b3c4d5e6f go1.26.8 linux/amd64", as far as is known.
func versionText() string {
	const short = 12
	version, revision, changes := "(devel)", "", ""
	if build, ok := debug.ReadBuildInfo(); ok {
		if build.Main.Version != "" {
			version = build.Main.Version
		}
		for _, s := range build.Settings {
			switch {
			case s.Key == "vcs.revision":
				revision = " " + s.Value[:min(len(s.Value), short)]
			case s.Key == "vcs.modified" && s.Value == "true":
				changes = "+changes"
			}
		}
	}
	return fmt.Sprintf("%s%s%s %s %s/%s", version, revision, changes, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
