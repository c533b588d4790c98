// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/fleet"
)

// keptKind is a kind of which a value was dispensed that keeps to a dialect.
type keptKind struct{ kind, dialect string }

// kept gives those of a plugin, ordered by name.
func (d *Daemon) kept(plugin string) []keptKind {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []keptKind
	for key, dialect := range d.keepsTo {
		if key.plugin == plugin {
			all = append(all, keptKind{key.kind, dialect})
		}
	}
	slices.SortFunc(all, func(a, b keptKind) int { return cmp.Compare(a.kind, b.kind) })
	return all
}

// tellKept says in p which of its ready endpoints do not speak what the dispensed
// value of a kind keeps to, and that p is not ready if none does.
func (d *Daemon) tellKept(p *Plugin, s fleet.PluginStatus, kept keptKind) {
	served, others := false, []string(nil)
	for i, e := range s.Endpoints {
		if e.State != conn.Ready || !mayServe(e.Info, kept.kind) {
			continue
		}
		speaks := d.dialects.of(e.Info)
		if speaks == kept.dialect {
			served = true
			continue
		}
		others = append(others, speaks)
		shown := &p.Endpoints[i]
		shown.UnreadyKinds = append(shown.UnreadyKinds, kept.kind)
		why := fmt.Sprintf("not ready for kind %s, which was dispensed as %s: it speaks %s", kept.kind, kept.dialect, speaks)
		if shown.Warning != "" {
			why = shown.Warning + "; " + why
		}
		shown.Warning = why
	}
	if served || len(others) == 0 {
		return
	}
	slices.Sort(others)
	p.Ready = false
	p.Problems = append(p.Problems, fmt.Sprintf(
		"kind %s: it was dispensed as %s, and all ready endpoints speak %s: make it with daemon.WithSwitch, or restart this host",
		kept.kind, kept.dialect, strings.Join(slices.Compact(others), ", ")))
}
