// SPDX-License-Identifier: MPL-2.0

package read

import (
	"fmt"
	"go/token"
	"go/types"
	"slices"

	"github.com/reattach/reattach/gen/model"
)

// service reads an interface. kind is empty for one that is called back.
func (r *reader) service(named *types.Named, kind string) {
	name := named.Obj().Name()
	if s := r.called[name]; s != nil {
		if s.Kind == "" {
			s.Kind = kind
		}
		return
	}
	pos := named.Obj().Pos()
	s := &model.Service{Name: name, Doc: r.docs[pos], Kind: kind, Pos: r.at(pos)}
	r.called[name] = s
	r.contract.Services = append(r.contract.Services, s)
	for _, w := range directives(r.comments[pos]...) {
		if w.name != "kind" {
			r.refusals.add(s.Pos, "%s%s is not known here: an interface has kind=name; what is of a method stands above it", prefix, w.name)
		}
	}
	if named.TypeParams().Len() > 0 {
		r.refusals.add(s.Pos, "%s has type parameters: the wire needs types", name)
		return
	}
	i := named.Underlying().(*types.Interface)
	methods := slices.Collect(i.Methods())
	slices.SortStableFunc(methods, func(a, b *types.Func) int { return r.order(named, a) - r.order(named, b) })
	for _, m := range methods {
		if read := r.method(s, m); read != nil {
			s.Methods = append(s.Methods, read)
		}
	}
}

// order puts methods in the order of the source; those of other packages come last.
func (r *reader) order(named *types.Named, m *types.Func) int {
	if m.Pkg() != nil && m.Pkg().Path() == r.pkg.PkgPath {
		return int(m.Pos() - named.Obj().Pos())
	}
	return 1 << 30 // by name, as they come
}

// method reads one method; nil if it was refused.
func (r *reader) method(s *model.Service, f *types.Func) *model.Method {
	sig := f.Signature()
	m := &model.Method{Name: f.Name(), Doc: r.docs[f.Pos()], Variadic: sig.Variadic()}
	m.Pos = s.Pos
	if f.Pkg() != nil && f.Pkg().Path() == r.pkg.PkgPath {
		m.Pos = r.at(f.Pos())
	}
	before := len(r.refusals)
	if !f.Exported() {
		r.refusals.add(m.Pos, "%s is not exported: no other package can implement it", m.Name)
		return nil
	}
	if m.Name == "WithContext" {
		r.refusals.add(m.Pos, "WithContext is what stubs have for the contexts of their callers: choose another name")
	}
	for i := range sig.Params().Len() {
		p := sig.Params().At(i)
		if i == 0 && isNamed(p.Type(), "context", "Context") {
			m.Context = true
			continue
		}
		m.Params = append(m.Params, r.param(m, p, i+1))
	}
	r.results(m, sig.Results())
	if len(r.refusals) > before {
		return nil
	}
	if err := declare(m, directives(r.comments[f.Pos()]...)); err != nil {
		r.refusals.add(m.Pos, "%s: %v", m.Name, err)
	}
	r.whole(m)
	if len(r.refusals) > before {
		return nil
	}
	return m
}

func isNamed(t types.Type, path, name string) bool {
	named, ok := types.Unalias(t).(*types.Named)
	return ok && named.Obj().Name() == name && packagePath(named.Obj()) == path
}

func (r *reader) position(m *model.Method, v *types.Var) token.Position {
	if v.Pkg() != nil && v.Pkg().Path() == r.pkg.PkgPath && v.Pos().IsValid() {
		return r.at(v.Pos())
	}
	return m.Pos
}

func (r *reader) param(m *model.Method, v *types.Var, place int) *model.Field {
	pos := r.position(m, v)
	if v.Name() == "" || v.Name() == "_" {
		r.refusals.add(pos, "%s: parameter %d has no name: the message needs one", m.Name, place)
		return nil
	}
	at := fmt.Sprintf("%s: parameter %s", m.Name, v.Name())
	t, err := r.paramType(v.Type(), at)
	if err == nil && !portable(v.Name()) {
		err = fmt.Errorf("%s: other languages cannot spell this name", at)
	}
	if err != nil {
		r.refusals.addOnce(pos, err)
		return nil
	}
	return &model.Field{Name: v.Name(), Wire: snake(v.Name()), Type: t}
}

// paramType is typeOf for a parameter, which may be a stream or an interface.
func (r *reader) paramType(t types.Type, at string) (*model.Type, error) {
	if stream, err := r.stream(t, at); stream != nil || err != nil {
		return stream, err
	}
	named, ok := types.Unalias(t).(*types.Named)
	i, isInterface := t.Underlying().(*types.Interface)
	if !ok || !isInterface || i.Empty() || packagePath(named.Obj()) == "" || isNamed(t, "context", "Context") {
		return r.typeOf(t, at)
	}
	if packagePath(named.Obj()) != r.pkg.PkgPath {
		return nil, fmt.Errorf("%s: %s is not of this package, and was not made to be called over a wire: declare an interface here (for a reader of bytes: iter.Seq2[[]byte, error])", at, r.spell(t))
	}
	r.pending = append(r.pending, named)
	called := &model.Type{Shape: model.Callback, Go: t}
	r.callbacks = append(r.callbacks, called)
	return called, nil
}

// stream reads iter.Seq2[T, error] and <-chan T; nil if t is neither.
func (r *reader) stream(t types.Type, at string) (*model.Type, error) {
	if isNamed(t, "iter", "Seq2") {
		args := types.Unalias(t).(*types.Named).TypeArgs()
		if !isNamed(args.At(1), "", "error") {
			return nil, fmt.Errorf("%s: a stream may break off: it is iter.Seq2[%s, error]", at, r.spell(args.At(0)))
		}
		elem, err := r.typeOf(args.At(0), at)
		return &model.Type{Shape: model.Seq, Go: t, Elem: elem}, err
	}
	if c, ok := t.Underlying().(*types.Chan); ok {
		if c.Dir() != types.RecvOnly {
			return nil, fmt.Errorf("%s: a channel travels in one direction: write <-chan %s", at, r.spell(c.Elem()))
		}
		elem, err := r.typeOf(c.Elem(), at)
		return &model.Type{Shape: model.Chan, Go: t, Elem: elem}, err
	}
	return nil, nil
}

func (r *reader) results(m *model.Method, results *types.Tuple) {
	n := results.Len()
	if n > 0 && isNamed(results.At(n-1).Type(), "", "error") {
		m.Err = true
		n--
	}
	for i := range n {
		v := results.At(i)
		name := v.Name()
		switch {
		case name != "" && name != "_":
		case n == 1:
			name = "result"
		default:
			name = fmt.Sprintf("result%d", i+1)
		}
		at := fmt.Sprintf("%s: result %s", m.Name, name)
		if v.Name() == "" && n == 1 {
			at = m.Name + ": its result"
		}
		t, err := r.stream(v.Type(), at)
		if t == nil && err == nil {
			t, err = r.resultType(v.Type(), at)
		}
		if err != nil {
			r.refusals.addOnce(r.position(m, v), err)
			continue
		}
		m.Results = append(m.Results, &model.Field{Name: name, Wire: snake(name), Type: t})
	}
}

func (r *reader) resultType(t types.Type, at string) (*model.Type, error) {
	if i, ok := t.Underlying().(*types.Interface); ok && !i.Empty() && !isNamed(t, "", "error") && !isNamed(t, "context", "Context") {
		return nil, fmt.Errorf("%s: an interface as a result would be bound to one instance of the plugin: answer an id, and take it as a parameter", at)
	}
	return r.typeOf(t, at)
}

// whole holds what a method must be besides its parts.
func (r *reader) whole(m *model.Method) {
	var in, out *model.Field
	for _, f := range m.Params {
		if isStream(f) {
			if in != nil {
				r.refusals.add(m.Pos, "%s: a call carries one stream to the plugin, and %s would be the second", m.Name, f.Name)
			}
			in = f
		}
	}
	for _, f := range m.Results {
		if isStream(f) {
			out = f
		}
	}
	callback := slices.ContainsFunc(m.Params, func(f *model.Field) bool { return f.Type.Shape == model.Callback })
	seen := make(map[string]bool)
	for _, f := range m.Params {
		if seen[f.Wire] {
			r.refusals.add(m.Pos, "%s: two parameters are %s on the wire", m.Name, f.Wire)
		}
		seen[f.Wire] = true
	}
	for _, f := range m.Results {
		if slices.ContainsFunc(m.Params, func(p *model.Field) bool { return p.Name == f.Name }) {
			r.refusals.add(m.Pos, "%s: a parameter and a result would both be %s: give the result a name", m.Name, f.Name)
		}
	}
	switch {
	case callback && (in != nil || out != nil):
		r.refusals.add(m.Pos, "%s: a call has a stream or takes an interface, not both: the interface would end with the call: answer a list, or give the items to the interface", m.Name)
	case out != nil && len(m.Results) > 1:
		r.refusals.add(m.Pos, "%s: a stream is the only result beside an error", m.Name)
	case !m.Context && (in != nil && in.Type.Shape == model.Chan || out != nil && out.Type.Shape == model.Chan):
		r.refusals.add(m.Pos, "%s: a channel needs a context as the first parameter, which ends it", m.Name)
	case out != nil && out.Type.Shape == model.Chan && !m.Err, in != nil && out == nil && !m.Err,
		out == nil && !m.Err && !m.Panics:
		r.refusals.add(m.Pos, "%s: a call can fail on its way: give it an error as the last result, or say %spanics", m.Name, prefix)
	case m.Idempotent && (in != nil || out != nil || callback) && (m.Repeats == nil || *m.Repeats > 0):
		r.refusals.add(m.Pos, "%s: a call with a stream or an interface is not repeated: say repeats=0, or leave idempotent out", m.Name)
	}
}

func isStream(f *model.Field) bool { return f.Type.Shape == model.Seq || f.Type.Shape == model.Chan }
