// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery/static"
	"github.com/reattach/reattach/host/doctor"
	"github.com/reattach/reattach/host/target"
)

// question is what finders are asked.
func (d *doctorRun) question() doctor.Question {
	q := doctor.Question{Namespace: d.namespace, Host: d.host, Program: d.config.program.Name}
	for _, prefix := range []string{"service/", "services/", "svc/"} {
		if name, ok := strings.CutPrefix(d.target, prefix); ok {
			q.Service = name
		}
	}
	return q
}

// examiner is the finder that knows of clusters.
func (d *doctorRun) examiner() (Examiner, error) {
	for _, f := range d.config.program.Finders {
		if e, ok := f.(Examiner); ok {
			return e, nil
		}
	}
	return nil, failf(exitUsage, "%s knows no clusters: it was built without package host/cli/kube", d.config.program.Name)
}

// ways gives those that the command line asks for.
func (d *doctorRun) ways(ctx context.Context) ([]doctor.Way, error) {
	q := d.question()
	switch {
	case d.pre != "":
		return d.planned(q)
	case q.Service != "":
		return d.examined(ctx, q)
	case d.inCluster:
		return nil, nil // a pod knows them better
	case d.target == "":
		return d.everything(ctx, q)
	case target.ValidateAddress(d.target) == nil:
		return []doctor.Way{addressWay(d.target, d.target, d.target)}, nil
	}
	return d.named(ctx, q)
}

// addressWay is a way that begins with addresses.
func addressWay(what, plugin string, addresses ...string) doctor.Way {
	return doctor.Way{Target: what, Plugin: plugin, Endpoints: func() []target.Endpoint {
		var all []target.Endpoint
		for _, a := range addresses {
			all = append(all, target.Endpoint{Plugin: plugin, Placement: target.Network, Address: a})
		}
		return all
	}}
}

func (d *doctorRun) examined(ctx context.Context, q doctor.Question) ([]doctor.Way, error) {
	e, err := d.examiner()
	if err != nil {
		return nil, err
	}
	ways, err := e.Ways(ctx, q)
	if err != nil && ctx.Err() == nil {
		return nil, &failure{exitUnreachable, err}
	}
	return ways, err
}

// static gives the ways to the network plugins that the environment lists.
func (d *doctorRun) static() ([]doctor.Way, error) {
	entries, err := static.Parse(strings.Join(d.config.NetworkPlugin, ","))
	if err != nil {
		return nil, &failure{exitUsage, err} // was validated
	}
	var names []string
	addresses := make(map[string][]string)
	for _, e := range entries {
		if !slices.Contains(names, e.Plugin) {
			names = append(names, e.Plugin)
		}
		addresses[e.Plugin] = append(addresses[e.Plugin], e.Address())
	}
	if dir := d.config.NetworkPluginDir; dir != "" {
		sockets, err := filepath.Glob(filepath.Join(dir, "*.sock"))
		if err != nil {
			return nil, failf(exitUsage, "NETWORK_PLUGIN_DIR: %w", err)
		}
		for _, path := range sockets {
			name := strings.TrimSuffix(filepath.Base(path), ".sock")
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
			addresses[name] = append(addresses[name], target.SocketScheme+path)
		}
	}
	var ways []doctor.Way
	for _, name := range names {
		ways = append(ways, addressWay(name, name, addresses[name]...))
	}
	return ways, nil
}

// everything is all that the environment names.
func (d *doctorRun) everything(ctx context.Context, q doctor.Question) ([]doctor.Way, error) {
	ways, err := d.static()
	if err != nil {
		return nil, err
	}
	children, err := d.children(ctx)
	if err != nil {
		return nil, err
	}
	ways = append(ways, children...)
	if d.config.wantsFinder() || len(ways) == 0 && d.knowsClusters() {
		found, err := d.examined(ctx, q)
		if err != nil {
			return nil, err
		}
		ways = append(ways, found...)
	}
	if len(ways) == 0 {
		return nil, failf(exitUnreachable, "no plugin was found: name some with NETWORK_PLUGIN or PLUGIN_DIR, or label Services reattach.dev/plugin")
	}
	return ways, nil
}

func (d *doctorRun) knowsClusters() bool {
	_, err := d.examiner()
	return err == nil
}

// named finds a plugin by the name that hosts of this environment have for it.
func (d *doctorRun) named(ctx context.Context, q doctor.Question) ([]doctor.Way, error) {
	ways, err := d.static()
	if err != nil {
		return nil, err
	}
	named := func(w doctor.Way) bool { return w.Plugin == d.target }
	if i := slices.IndexFunc(ways, named); i >= 0 {
		return ways[i : i+1], nil
	}
	if !d.knowsClusters() || !d.config.wantsFinder() {
		names := make([]string, len(ways))
		for i, w := range ways {
			names[i] = w.Plugin
		}
		return nil, failf(exitUsage, "no network plugin %q is named by NETWORK_PLUGIN or NETWORK_PLUGIN_DIR, which name %s: give an address, or service/NAME; --all looks at PLUGIN_DIR, too",
			d.target, cmp.Or(strings.Join(names, ", "), "none"))
	}
	name, namespace, _ := strings.Cut(d.target, ".")
	q.Service, q.Namespace = name, cmp.Or(namespace, q.Namespace)
	return d.examined(ctx, q)
}

// maxManifests is how many bytes of manifests are read.
const maxManifests = 64 << 20

// planned gives the ways in manifests.
func (d *doctorRun) planned(q doctor.Question) ([]doctor.Way, error) {
	e, err := d.examiner()
	if err != nil {
		return nil, err
	}
	if d.target != "" && q.Service == "" {
		q.Service = d.target
	}
	texts, err := d.manifests()
	if err != nil {
		return nil, failf(exitUsage, "--pre %s: %w", d.pre, err)
	}
	ways, err := e.Planned(q, texts)
	switch {
	case err != nil:
		return nil, failf(exitUsage, "--pre %s: %w", d.pre, err)
	case len(ways) == 0:
		return nil, failf(exitUsage, "--pre %s: no Service in the manifests is a plugin, by its label or by a port named plugin", d.pre)
	}
	return ways, nil
}

// manifests reads those of a file, of a directory with those beneath, or of standard
// input.
func (d *doctorRun) manifests() (map[string][]byte, error) {
	texts, left := make(map[string][]byte), int64(maxManifests)
	add := func(name string, from io.Reader) error {
		text, err := io.ReadAll(io.LimitReader(from, left+1))
		if left -= int64(len(text)); left < 0 {
			return fmt.Errorf("%s: there are more than %d bytes of manifests", name, maxManifests)
		}
		texts[name] = text
		return err
	}
	if d.pre == "-" {
		return texts, add("standard input", d.in)
	}
	err := filepath.WalkDir(d.pre, func(path string, entry fs.DirEntry, err error) error {
		ending := filepath.Ext(path)
		if err != nil || entry.IsDir() || path != d.pre && ending != ".yaml" && ending != ".yml" && ending != ".json" {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		return add(path, file)
	})
	if err == nil && len(texts) == 0 {
		err = errors.New("there is no file that ends with .yaml, .yml or .json")
	}
	return texts, err
}

// callHop makes one call to the plugin at an address, by a daemon that knows no other.
func (c *config) callHop(to doctor.Address, call string, stderr io.Writer) doctor.Hop {
	return doctor.Hop{Name: doctor.HopCall, Check: func(ctx context.Context) (string, error) {
		what, rest, _ := strings.Cut(call, " ")
		kind, method, _ := cutMethod(what) // was validated
		var args []string
		if rest = strings.TrimSpace(rest); rest != "" {
			args = []string{rest}
		}
		one := *c
		one.NetworkPlugin, one.PluginDir, one.NetworkPluginDir = []string{to.ServerName + "=" + to.Address}, "", ""
		one.program = one.program.withKind(kind, method)
		one.program.Finders = nil
		l, err := one.newLocal(ctx, stderr)
		if err != nil {
			return "", doctor.Find(doctor.CallFailed, "%s: %v", what, err)
		}
		result, err := l.Call(ctx, to.ServerName, kind, method, arguments(args))
		err = errors.Join(err, l.Close())
		if errors.Is(err, daemon.ErrArguments) || errors.Is(err, daemon.ErrUnknown) || errors.Is(err, daemon.ErrNotCallable) {
			return "", &failure{exitUsage, err}
		}
		if err != nil {
			return "", doctor.Find(doctor.CallFailed, "%s: %v", what, err)
		}
		return what + " answered " + string(result), nil
	}}
}
