// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery/dir"
)

// completeWithin bounds how long somebody waits who has pressed the key for completion.
const completeWithin = 3 * time.Second

// completePlugin completes the name of a plugin.
func (o Options) completePlugin(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var names []string
	if len(args) == 0 {
		files := o.lookUp(cmd, func(ctx context.Context, of client) {
			all, _ := of.Plugins(ctx) // those that were found until then
			for _, p := range all.Plugins {
				names = append(names, p.Name)
			}
		})
		names = append(names, files...)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeCall completes the name of a plugin, and then that of a method.
func (o Options) completeCall(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return o.completePlugin(cmd, args, begun)
	}
	var names []string
	o.lookUp(cmd, func(ctx context.Context, of client) {
		kinds, _, err := of.Describe(ctx, args[0])
		if err != nil {
			return // nobody would read why
		}
		names = methodsOf(kinds)
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

// methodsOf gives KIND.METHOD for each method that can be called, with what it takes as the
// description that some shells show.
func methodsOf(kinds []daemon.KindInfo) []string {
	var names []string
	for _, k := range kinds {
		for _, m := range k.Methods {
			if m.NotCallable == "" {
				names = append(names, k.Name+"."+m.Name+"\t"+strings.TrimPrefix(m.Signature, m.Name))
			}
		}
	}
	return names
}

// lookUp asks what a command would, for a moment. It prints nothing and starts nothing:
// whoever presses the key has not said that anything shall run. So plugins of files are known
// to a daemon alone; without one their names are what it returns.
func (o Options) lookUp(cmd *cobra.Command, ask func(context.Context, client)) (notAsked []string) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completeWithin)
	defer cancel()
	c, err := o.readConfig()
	if err != nil {
		return nil
	}
	server := ""
	if flag := cmd.Flag("server"); flag != nil {
		server = flag.Value.String()
	}
	dirs := filepath.SplitList(c.PluginDir)
	c.PluginDir = ""
	of, err := c.open(ctx, server, io.Discard)
	if err == nil {
		defer of.Close()
		ask(ctx, of)
	}
	if c.Server != "" {
		return nil
	}
	for _, path := range dirs {
		names, _ := dir.Names(path) // nobody would read why there are none
		notAsked = append(notAsked, names...)
	}
	return notAsked
}
