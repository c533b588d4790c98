// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// ErrContract is matched by the warning of an endpoint whose plugin lacks methods of
// the kinds that this host knows, or has changed what they take or answer. It still
// gets calls, because its other methods work as ever.
var ErrContract = errors.New("differs from this host's interface")

// check is what a session of an endpoint is looked at for.
func (d *Daemon) check(e target.Endpoint, info conn.Info) error {
	d.logDeclared(e.Plugin, info)
	return CheckContract(d.opts.Kinds, info)
}

// CheckContract compares what a session says that its plugin serves with the
// interfaces of kinds. The error matches [ErrContract] and names what is missing. A
// plugin that serves a kind without saying its methods is taken at its word, and one
// that lacks a kind altogether is merely another plugin.
func CheckContract(kinds []Kind, info conn.Info) error {
	var found []error
	for _, served := range info.Kinds {
		i := slices.IndexFunc(kinds, func(k Kind) bool { return k.name == served.Name })
		if i < 0 || served.Methods == nil {
			continue
		}
		k := &kinds[i]
		if missing := k.missingFrom(served); len(missing) > 0 {
			found = append(found, fmt.Errorf("kind %s %w: it lacks %s", served.Name, ErrContract, strings.Join(missing, ", ")))
		}
		if changed := k.changedIn(served, info.Protocol); len(changed) > 0 {
			found = append(found, fmt.Errorf("kind %s %w: %s", served.Name, ErrContract, strings.Join(changed, "; ")))
		}
	}
	return errors.Join(found...)
}

// missingFrom gives the methods that a plugin does not have, as the host's
// interface writes them.
func (k *Kind) missingFrom(served conn.Kind) []string {
	var missing []string
	for _, name := range slices.Sorted(maps.Keys(k.methods)) {
		has := func(m conn.Method) bool { return m.Name == name }
		if !slices.ContainsFunc(served.Methods, has) {
			missing = append(missing, k.methods[name].signature())
		}
	}
	return missing
}

// changedIn gives the methods that travel otherwise than this host was told.
func (k *Kind) changedIn(served conn.Kind, protocol string) []string {
	var changed []string
	for _, want := range k.wire {
		for _, got := range served.Methods {
			if want.protocol != protocol || want.Name != got.Name {
				continue
			}
			if got.Args != "" && got.Args != want.Args {
				changed = append(changed, fmt.Sprintf("%s takes %s, not %s", got.Name, got.Args, want.Args))
			}
			if got.Reply != "" && got.Reply != want.Reply {
				changed = append(changed, fmt.Sprintf("%s answers %s, not %s", got.Name, got.Reply, want.Reply))
			}
		}
	}
	return changed
}
