// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"slices"
	"strings"

	"github.com/reattach/reattach/host/target"
)

// facts is what discovery says apart from endpoints. It never changes.
type facts struct {
	synced   bool
	plugins  []target.Plugin // ordered by name
	problems []target.Problem
}

// lookup reports whether a plugin is known, and whether it is required.
func (f *facts) lookup(name string) (known, required bool) {
	p := f.declared(name)
	return p.Name != "", p.Required
}

// declared gives what the sources say of a plugin; the zero value if they do not know it.
func (f *facts) declared(name string) target.Plugin {
	i, ok := slices.BinarySearchFunc(f.plugins, name, func(p target.Plugin, n string) int { return strings.Compare(p.Name, n) })
	if !ok {
		return target.Plugin{}
	}
	return f.plugins[i]
}

// problem says what keeps a plugin from having any endpoint; empty if nothing does.
func (f *facts) problem(name string) string {
	if i := slices.IndexFunc(f.problems, func(p target.Problem) bool { return p.Plugin == name }); i >= 0 {
		return f.problems[i].String()
	}
	return ""
}

func (f *facts) names() []string {
	names := make([]string, 0, len(f.plugins))
	for _, p := range f.plugins {
		names = append(names, p.Name)
	}
	return names
}
