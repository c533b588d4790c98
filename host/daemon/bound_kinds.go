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

// boundKind is a kind of which a value was dispensed that keeps to a dialect.
type boundKind struct{ kind, dialect string }

// boundKinds gives those of a plugin, ordered by name.
func (d *Daemon) boundKinds(plugin string) []boundKind {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []boundKind
	for kind, v := range d.heldNow(plugin).values {
		if v.dialect != "" {
			all = append(all, boundKind{kind, v.dialect})
		}
	}
	slices.SortFunc(all, func(a, b boundKind) int { return cmp.Compare(a.kind, b.kind) })
	return all
}

// warnOfBound says in p which of its ready endpoints do not speak what the dispensed
// value of a kind keeps to, and that p is not ready if none does.
func (d *Daemon) warnOfBound(p *Plugin, s fleet.PluginStatus, bound boundKind) {
	served, others := false, []string(nil)
	for i, e := range s.Endpoints {
		if e.State != conn.Ready || !mayServe(e.Info, bound.kind) {
			continue
		}
		speaks := d.dialects.of(e.Info)
		if speaks == bound.dialect {
			served = true
			continue
		}
		others = append(others, speaks)
		shown := &p.Endpoints[i]
		shown.UnreadyKinds = append(shown.UnreadyKinds, bound.kind)
		why := fmt.Sprintf("not ready for kind %s, which was dispensed as %s: it speaks %s", bound.kind, bound.dialect, speaks)
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
		bound.kind, bound.dialect, strings.Join(slices.Compact(others), ", ")))
}
