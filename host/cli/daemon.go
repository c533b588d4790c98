// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"io"
	"os"
	"strings"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/attach/so"
	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/target"
)

// daemonOptions gives the options of a daemon for this environment.
func (h Host) daemonOptions(c Config, stderr io.Writer) (daemon.Options, error) {
	policy, err := c.policy()
	if err != nil {
		return daemon.Options{}, &failure{exitUsage, err}
	}
	o := daemon.DefaultOptions()
	o.Handshake, o.Kinds = h.Handshake, h.Kinds
	o.Versions = func(set plugin.PluginSet) map[int]plugin.PluginSet {
		chosen := make(map[int]plugin.PluginSet, len(c.ContractVersions))
		for version, kinds := range h.Versions(set) {
			for _, wanted := range c.ContractVersions {
				if version == wanted {
					chosen[version] = kinds
				}
			}
		}
		return chosen
	}
	o.PluginDir = c.PluginDir
	o.NetworkPlugins = strings.Join(c.NetworkPlugin, ",")
	o.Required = c.RequiredPlugins
	o.TLS, o.PlainPlugins = c.tls(), c.TLSPlainPlugins
	o.Balancer = balancer.Options{Policy: policy, Zone: balancer.ZonePreference{Zone: c.Zone, MinFraction: 0.25}}
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

// namesPlugins reports whether there are plugins that a command can attach to by itself.
func (c Config) namesPlugins() bool {
	if len(c.NetworkPlugin) > 0 {
		return true
	}
	_, err := os.Stat(c.PluginDir)
	return c.PluginDir != "" && err == nil
}

// findSomething checks that there are places to look for plugins in, and that a
// directory which was asked for exists.
func (c Config) findSomething() error {
	if _, asked := os.LookupEnv("PLUGIN_DIR"); asked && c.PluginDir != "" {
		if _, err := os.ReadDir(c.PluginDir); err != nil {
			return failf(exitUsage, "PLUGIN_DIR: %w", err)
		}
	}
	if c.PluginDir == "" && len(c.NetworkPlugin) == 0 && !c.inKubernetes() {
		return failf(exitUsage, "no plugins: PLUGIN_DIR, NETWORK_PLUGIN and KUBE_SELECTOR are all empty")
	}
	return nil
}
