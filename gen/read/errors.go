// SPDX-License-Identifier: MPL-2.0

package read

import (
	"go/types"

	"github.com/reattach/reattach/gen/model"
)

// errors finds the package's exported sentinels and error types. Those that a comment
// marks with //reattach:local stay at home.
func (r *reader) errors() {
	scope := r.pkg.Types.Scope()
	for _, name := range scope.Names() {
		obj := scope.Lookup(name)
		if !obj.Exported() || r.isLocal(obj) {
			continue
		}
		e := &model.Error{Name: name, Doc: r.docs[obj.Pos()], Pos: r.at(obj.Pos())}
		switch obj := obj.(type) {
		case *types.Var:
			if !isNamed(obj.Type(), "", "error") {
				continue
			}
		case *types.TypeName:
			named, ok := obj.Type().(*types.Named)
			if !ok || obj.IsAlias() || types.IsInterface(named) || named.TypeParams().Len() > 0 {
				continue
			}
			failure := types.Universe.Lookup("error").Type().Underlying().(*types.Interface)
			switch {
			case types.Implements(named, failure):
			case types.Implements(types.NewPointer(named), failure):
				e.Pointer = true
			default:
				continue
			}
			t, err := r.typeOf(named, "error type "+name)
			if err != nil {
				r.refusals.add(e.Pos, "%v; or mark it %slocal", err, prefix)
				continue
			}
			if t.Shape != model.Struct {
				// A type such as "type Code int" needs a message of its own.
				m := &model.Message{Name: name, Go: named, Items: true, Doc: e.Doc}
				m.Fields = []*model.Field{{Name: "Value", Wire: "value", Type: t}}
				r.contract.Messages = append(r.contract.Messages, m)
				t = &model.Type{Shape: model.Struct, Go: named, Message: m}
			}
			e.Type = t
		default:
			continue
		}
		r.contract.Errors = append(r.contract.Errors, e)
	}
}

func (r *reader) isLocal(o types.Object) bool {
	for _, w := range directives(r.comments[o.Pos()]...) {
		if w.name == "local" {
			return true
		}
	}
	return false
}
