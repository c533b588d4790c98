// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/doctor"
	"github.com/reattach/reattach/host/target"
)

// children gives the ways to the plugins of PLUGIN_DIR. They are attached by a daemon that
// looks nowhere else, and what it says of them is what is found.
func (d *doctorRun) children(ctx context.Context) ([]doctor.Way, error) {
	one := d.config
	one.NetworkPlugin, one.NetworkPluginDir, one.program.Finders = nil, "", nil
	if !one.namesPlugins() {
		return nil, nil
	}
	l, err := one.newLocal(ctx, d.stderr)
	if dir, ok := errors.AsType[*fs.PathError](err); ok && slices.Contains(filepath.SplitList(one.PluginDir), dir.Path) {
		return []doctor.Way{fileWay(target.Problem{Subject: dir.Path, Reason: err.Error()})}, nil // beside others
	}
	if err != nil {
		return nil, err
	}
	var now found
	err = one.program.untilTried(ctx, l, d.stderr, func(ctx context.Context) (err error) {
		now, err = l.Plugins(ctx)
		return err
	})
	if err := errors.Join(err, l.Close()); err != nil {
		return nil, err
	}
	var ways []doctor.Way
	for _, p := range now.Problems {
		ways = append(ways, fileWay(p))
	}
	for _, p := range now.Plugins {
		if len(p.Endpoints) > 0 {
			ways = append(ways, startWay(p))
		}
	}
	return ways, nil
}

// fileWay is the way to a file that cannot be used.
func fileWay(p target.Problem) doctor.Way {
	return doctor.Way{Target: cmp.Or(p.Plugin, p.Subject), Plugin: p.Plugin, Hops: []doctor.Hop{{
		Name: doctor.HopFile,
		Check: func(context.Context) (string, error) {
			f := doctor.Find(doctor.FileUnusable, "%s", p.Reason)
			f.Subject = p.Subject
			return "", f
		},
	}}}
}

// startWay is the way to a plugin that this process has started, or loaded.
func startWay(p daemon.Plugin) doctor.Way {
	return doctor.Way{Target: p.Name, Plugin: p.Name, Hops: []doctor.Hop{
		{Name: doctor.HopStart, Check: func(context.Context) (string, error) {
			if p.Ready {
				e := p.Endpoints[0]
				return fmt.Sprintf("%s, %s v%d", e.Placement, protocolName(e.Protocol), e.Version), nil
			}
			f := doctor.Find(doctor.NotStarted, "%s", statusOf(p))
			f.Subject = p.Endpoints[0].Address
			return "", f
		}},
		{Name: doctor.HopContract, Check: func(context.Context) (string, error) {
			for _, e := range p.Endpoints {
				if e.Warning != "" {
					return "", doctor.Warn(doctor.OtherContract, "%s", e.Warning)
				}
			}
			return cmp.Or(strings.Join(p.Kinds, ", "), "it does not tell what it serves"), nil
		}},
	}}
}
