// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/dir"
	"github.com/reattach/reattach/host/discovery/manual"
	"github.com/reattach/reattach/host/discovery/static"
	"github.com/reattach/reattach/host/target"
)

// sources makes those that the options ask for. What somebody wrote down comes
// before what is found.
func (o *Options) sources() ([]discovery.Source, error) {
	var all []discovery.Source
	if len(o.Required) > 0 {
		all = append(all, required(o.Required))
	}
	if o.NetworkPlugins != "" {
		s, err := static.New(o.NetworkPlugins, static.Options{})
		if err != nil {
			return nil, fmt.Errorf("option NetworkPlugins: %w", err)
		}
		all = append(all, s)
	}
	for i, path := range filepath.SplitList(o.PluginDir) {
		name := "dir"
		if i > 0 {
			name = "dir " + path
		}
		s, err := dir.New(dir.Options{Name: name, Dir: path})
		if err != nil {
			return nil, fmt.Errorf("option PluginDir: %w", err)
		}
		all = append(all, s)
	}
	if o.NetworkPluginDir != "" {
		s, err := dir.New(dir.Options{Dir: o.NetworkPluginDir, Sockets: true})
		if err != nil {
			return nil, fmt.Errorf("option NetworkPluginDir: %w", err)
		}
		all = append(all, s)
	}
	return append(all, o.Sources...), nil
}

// required is the source of the plugins that the options require: they are known,
// and missed, even while nothing has found them.
func required(names []string) discovery.Source {
	group := target.Group{Key: "options"}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		group.Plugins = append(group.Plugins, target.Plugin{Name: name, Required: true})
	}
	return manual.New("required", group)
}

// dialers gives one for each placement that the daemon can reach.
func (d *Daemon) dialers() (map[target.Placement]conn.Dialer, error) {
	contract := attach.Contract{Handshake: d.opts.Handshake, Versions: d.versions, Protocols: d.dialects.protocols(), Broker: d.broker}
	from := map[target.Placement]func(attach.Contract) (conn.Dialer, error){
		target.Network: func(c attach.Contract) (conn.Dialer, error) {
			return attach.Network(attach.NetworkOptions{
				Contract: c, TLS: d.opts.TLS, PlainPlugins: d.opts.PlainPlugins,
				Timeout: d.opts.AttachTimeout, MaxMessageBytes: d.opts.MaxMessageBytes, Logger: d.log,
			})
		},
		target.Child: func(c attach.Contract) (conn.Dialer, error) {
			return attach.Child(attach.ChildOptions{
				Contract: c, Env: d.opts.ChildEnv, StartTimeout: d.opts.AttachTimeout, MaxMessageBytes: d.opts.MaxMessageBytes, Logger: d.log,
			})
		},
	}
	for placement, constructor := range d.opts.Dialers {
		from[placement] = func(c attach.Contract) (conn.Dialer, error) {
			dialer, err := constructor(c)
			if err != nil {
				err = fmt.Errorf("option Dialers[%s]: %w", placement, err)
			}
			return dialer, err
		}
	}
	all := make(map[target.Placement]conn.Dialer, len(from))
	for placement, constructor := range from {
		var err error
		if all[placement], err = d.newDialer(contract, constructor); err != nil {
			return nil, err
		}
	}
	return all, nil
}
