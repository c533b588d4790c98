// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/attach/so"
	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/target"
)

// daemonOptions gives the options of a daemon for this environment, without what the
// finders find.
func (c *config) daemonOptions(stderr io.Writer) (daemon.Options, error) {
	policy, err := c.policy()
	if err != nil {
		return daemon.Options{}, &failure{exitUsage, err}
	}
	o := daemon.DefaultOptions()
	o.Handshake, o.Kinds, o.Versions = c.program.Handshake, c.program.Kinds, c.versions()
	o.PluginDir = c.PluginDir
	o.NetworkPluginDir = c.NetworkPluginDir
	o.NetworkPlugins = strings.Join(c.NetworkPlugin, ",")
	o.Required = c.RequiredPlugins
	o.TLS, o.PlainPlugins = c.tls(), c.TLSPlainPlugins
	o.Balancer = balancer.Options{Policy: policy, Zone: balancer.ZonePreference{Zone: c.Zone, Node: c.Node, MinFraction: 0.25}}
	o.MaxMessageBytes = c.MaxMessage
	o.CallTimeout, o.AttachTimeout, o.DrainTimeout = c.CallTimeout, c.AttachTimeout, c.DrainTimeout
	o.Logger = c.logger(stderr)
	o.Dialers = map[target.Placement]func(attach.Contract) (conn.Dialer, error){
		target.InProcess: func(shared attach.Contract) (conn.Dialer, error) {
			return so.Dialer(so.Options{Contract: shared, Logger: o.Logger})
		},
	}
	return o, nil
}

// versions gives those of the contract that the environment asks for: nil for what
// the program says.
func (c *config) versions() func(plugin.PluginSet) map[int]plugin.PluginSet {
	if c.program.Versions == nil || len(c.ContractVersions) == 0 {
		return c.program.Versions
	}
	return func(set plugin.PluginSet) map[int]plugin.PluginSet {
		all := c.program.Versions(set)
		for version := range all {
			if !slices.Contains(c.ContractVersions, version) {
				delete(all, version)
			}
		}
		return all
	}
}

// namesPlugins reports whether the environment names plugins that a command can attach
// to by itself, or where to find some.
func (c *config) namesPlugins() bool {
	_, asked := os.LookupEnv(pluginDir)
	return c.namesNetwork() || c.PluginDir != "" && (asked || isDir(c.PluginDir))
}

// namesNetwork reports whether the environment names network plugins, or where to find
// some.
func (c *config) namesNetwork() bool {
	return len(c.NetworkPlugin) > 0 || c.NetworkPluginDir != "" || c.wantsFinder()
}

func (c *config) wantsFinder() bool { return slices.ContainsFunc(c.program.Finders, Finder.Wanted) }

// settlePlaces checks that there are places to look for plugins in, and that a
// directory which was asked for exists. One that is the default need not, if there is
// another place.
func (c *config) settlePlaces() error {
	if _, asked := os.LookupEnv(pluginDir); c.PluginDir != "" {
		for _, path := range filepath.SplitList(c.PluginDir) {
			_, err := os.ReadDir(path)
			switch {
			case err != nil && (asked || !errors.Is(err, fs.ErrNotExist)):
				return failf(exitUsage, "PLUGIN_DIR: %w", err)
			case err != nil:
				c.PluginDir = ""
			}
		}
	}
	if c.PluginDir == "" && !c.namesNetwork() {
		return failf(exitUsage, "no plugins: name some with NETWORK_PLUGIN, or a directory with PLUGIN_DIR; see %s --help", c.program.Name)
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
