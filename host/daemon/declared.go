// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"slices"
	"strings"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/fleet"
	"github.com/reattach/reattach/host/stub"
)

// declaredProblems says what is wrong with the methods that whoever has deployed a plugin
// has named for replay, once one of its endpoints has told what it serves.
func (d *Daemon) declaredProblems(s fleet.PluginStatus) []string {
	for _, e := range s.Endpoints {
		if e.State == conn.Ready {
			return d.misdeclared(s.Name, e.Info)
		}
	}
	return nil
}

// misdeclared compares them with the methods of the kinds that the plugin serves, of which
// this host alone can call any.
func (d *Daemon) misdeclared(plugin string, info conn.Info) []string {
	declared := d.fleet.Declared(plugin).Replay
	if declared == "" {
		return nil
	}
	methods := make(map[string]bool)
	for _, k := range d.kinds {
		if k.described == nil && !mayServe(info, k.name) {
			continue
		}
		for name := range k.methods {
			methods[name] = k.Options(name).Stream
		}
	}
	if len(methods) == 0 {
		return nil // nothing is known
	}
	return stub.Declared{Option: stub.OptionReplay, Names: strings.Split(declared, ",")}.Problems(methods)
}

// logDeclared writes each problem down once.
func (d *Daemon) logDeclared(plugin string, info conn.Info) {
	found := d.misdeclared(plugin, info)
	if len(found) == 0 {
		return
	}
	d.mu.Lock()
	h := d.hold(plugin)
	logged := h.misdeclared
	h.misdeclared = found
	d.mu.Unlock()
	for _, problem := range found {
		if !slices.Contains(logged, problem) {
			d.log.Warn("an option of the plugin has no effect", "plugin", plugin, "problem", problem)
		}
	}
}
