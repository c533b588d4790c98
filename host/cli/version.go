// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/attach"
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

// versionText gives "v1.2.3 go1.26.8 1a2b3c4d5e6f linux/amd64", as far as is known.
func versionText() string {
	text := runtime.Version()
	if build, ok := debug.ReadBuildInfo(); ok {
		text = attach.BuildText(build)
	}
	return fmt.Sprintf("%s %s/%s", text, runtime.GOOS, runtime.GOARCH)
}
