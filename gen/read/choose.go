// SPDX-License-Identifier: MPL-2.0

package read

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
)

// choose gives the interfaces that are kinds.
func (r *reader) choose(names []string) ([]*types.Named, error) {
	scope := r.pkg.Types.Scope()
	var all, marked []*types.Named
	for _, name := range scope.Names() {
		named := interfaceOf(scope.Lookup(name))
		if named == nil || !named.Obj().Exported() {
			continue
		}
		all = append(all, named)
		if slices.ContainsFunc(directives(r.comments[named.Obj().Pos()]...), func(w word) bool { return w.name == "kind" }) {
			marked = append(marked, named)
		}
	}
	chosen := marked
	switch {
	case len(names) > 0:
		chosen = nil
		for _, name := range names {
			named := interfaceOf(scope.Lookup(name))
			if named == nil {
				return nil, fmt.Errorf("package %s has no interface %s", r.pkg.Name, name)
			}
			chosen = append(chosen, named)
		}
	case len(marked) == 0:
		chosen = withoutParameters(all)
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("package %s has no exported interface with methods: nothing can be generated", r.pkg.Name)
	}
	slices.SortFunc(chosen, func(a, b *types.Named) int { return int(a.Obj().Pos()) - int(b.Obj().Pos()) })
	return chosen, nil
}

// interfaceOf gives the interface that an object declares, if it has methods.
func interfaceOf(o types.Object) *types.Named {
	if o == nil {
		return nil
	}
	named, ok := o.Type().(*types.Named)
	if _, isType := o.(*types.TypeName); !ok || !isType {
		return nil
	}
	i, ok := named.Underlying().(*types.Interface)
	if !ok || i.NumMethods() == 0 || !i.IsMethodSet() || i.NumExplicitMethods() == 1 && named.Obj().Name() == "error" {
		return nil
	}
	return named
}

// withoutParameters leaves out those that another one takes: they are called back.
func withoutParameters(all []*types.Named) []*types.Named {
	taken := make(map[*types.TypeName]bool)
	for _, named := range all {
		i := named.Underlying().(*types.Interface)
		for m := range i.Methods() {
			params := m.Signature().Params()
			for p := range params.Variables() {
				if other, ok := types.Unalias(p.Type()).(*types.Named); ok && other != named {
					taken[other.Obj()] = true
				}
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(all), func(n *types.Named) bool { return taken[n.Obj()] })
}

// kindOf gives the name that an interface is dispensed by.
func (r *reader) kindOf(named *types.Named) string {
	for _, w := range directives(r.comments[named.Obj().Pos()]...) {
		if w.name == "kind" && w.value != "" {
			return w.value
		}
	}
	return strings.ToLower(named.Obj().Name())
}
