// SPDX-License-Identifier: MPL-2.0

package read

import (
	"fmt"
	"go/types"
	"reflect"
	"strings"

	"github.com/reattach/reattach/gen/model"
)

// scalars are the kinds of Go that one word of protocol buffers carries.
var scalars = map[types.BasicKind]struct {
	shape model.Shape
	word  string
}{
	types.Bool: {model.Bool, "bool"}, types.String: {model.Text, "string"},
	types.Int: {model.Int, "int64"}, types.Int64: {model.Int, "int64"}, types.Int32: {model.Int, "int32"},
	types.Int16: {model.Int, "int32"}, types.Int8: {model.Int, "int32"},
	types.Uint: {model.Int, "uint64"}, types.Uint64: {model.Int, "uint64"}, types.Uint32: {model.Int, "uint32"},
	types.Uint16: {model.Int, "uint32"}, types.Uint8: {model.Int, "uint32"},
	types.Float32: {model.Float, "float"}, types.Float64: {model.Float, "double"},
}

// typeOf says how values of t travel. at is where t stands, for people: "Config.Name".
// It returns why they cannot, otherwise.
func (r *reader) typeOf(t types.Type, at string) (*model.Type, error) {
	if named, ok := types.Unalias(t).(*types.Named); ok {
		if found, err := r.named(named, at); found != nil || err != nil {
			return found, err
		}
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		if s, ok := scalars[u.Kind()]; ok {
			return &model.Type{Shape: s.shape, Scalar: s.word, Go: t}, nil
		}
		if u.Kind() == types.Invalid {
			return nil, fmt.Errorf("%s: its type is not known: does the package compile?", at)
		}
		return nil, fmt.Errorf("%s: a %s means nothing to another process", at, r.spell(t))
	case *types.Pointer:
		return r.pointer(t, u, at)
	case *types.Slice:
		if b, ok := u.Elem().Underlying().(*types.Basic); ok && b.Kind() == types.Uint8 {
			if _, isNamed := types.Unalias(u.Elem()).(*types.Named); !isNamed {
				return &model.Type{Shape: model.Bytes, Scalar: "bytes", Go: t}, nil
			}
		}
		elem, err := r.element(u.Elem(), at+"[]")
		return &model.Type{Shape: model.List, Go: t, Elem: elem}, err
	case *types.Array:
		elem, err := r.element(u.Elem(), at+"[]")
		return &model.Type{Shape: model.Array, Go: t, Elem: elem, Len: u.Len()}, err
	case *types.Map:
		return r.mapOf(t, u, at)
	case *types.Struct:
		return nil, fmt.Errorf("%s: a struct without a name has none on the wire either: declare a type for it", at)
	case *types.Interface:
		if u.Empty() {
			return nil, fmt.Errorf("%s: %s may be anything, and the other side has to know what: use a type, or []byte with an encoding of your own", at, r.spell(t))
		}
		return nil, fmt.Errorf("%s: the interface %s can be a parameter of a method, and nothing else", at, r.spell(t))
	case *types.Signature:
		return nil, fmt.Errorf("%s: a function cannot leave its process: pass an interface with one method", at)
	case *types.Chan:
		return nil, fmt.Errorf("%s: a channel can be a parameter (<-chan) or the only result of a method, and nothing else", at)
	}
	return nil, fmt.Errorf("%s: %s cannot travel", at, r.spell(t))
}

// named says how a type travels whose name says more than what it is made of; nil if its
// underlying type says it all.
func (r *reader) named(t *types.Named, at string) (*model.Type, error) {
	obj := t.Obj()
	switch path := packagePath(obj); {
	case path == "time" && obj.Name() == "Time":
		return &model.Type{Shape: model.Time, Go: t}, nil
	case path == "time" && obj.Name() == "Duration":
		return &model.Type{Shape: model.Duration, Go: t}, nil
	case path == "context" && obj.Name() == "Context":
		return nil, fmt.Errorf("%s: a context travels as the first parameter of a method only", at)
	case path == "" && obj.Name() == "error":
		return nil, fmt.Errorf("%s: an error travels as the last result of a method only: use its text", at)
	case path == "iter":
		return nil, fmt.Errorf("%s: a stream is iter.Seq2[T, error], as a parameter or the only result of a method", at)
	case path == r.pkg.PkgPath && !obj.Exported():
		return nil, fmt.Errorf("%s: type %s is not exported, so hosts cannot name it", at, obj.Name())
	}
	s, ok := t.Underlying().(*types.Struct)
	if !ok {
		return nil, nil
	}
	switch {
	case hasMethod(t, "ProtoReflect"):
		return nil, fmt.Errorf("%s: %s is a message already: begin with its .proto file", at, r.spell(t))
	case hasMethod(t, "MarshalBinary") && hasMethod(t, "UnmarshalBinary"):
		return &model.Type{Shape: model.AsBinary, Scalar: "bytes", Go: t}, nil
	case hasMethod(t, "MarshalText") && hasMethod(t, "UnmarshalText"):
		return &model.Type{Shape: model.AsText, Scalar: "string", Go: t}, nil
	}
	m, err := r.message(t, s, at)
	return &model.Type{Shape: model.Struct, Go: t, Message: m}, err
}

func hasMethod(t types.Type, name string) bool {
	found, _, _ := types.LookupFieldOrMethod(types.NewPointer(t), false, nil, name)
	_, isFunc := found.(*types.Func)
	return isFunc
}

func packagePath(o types.Object) string {
	if o.Pkg() == nil {
		return ""
	}
	return o.Pkg().Path()
}

func (r *reader) pointer(t types.Type, p *types.Pointer, at string) (*model.Type, error) {
	elem, err := r.typeOf(p.Elem(), at)
	if err != nil {
		return nil, err
	}
	switch elem.Shape {
	case model.Pointer, model.List, model.Map, model.Array:
		return nil, fmt.Errorf("%s: a pointer to a %s: leave the pointer out", at, r.spell(elem.Go))
	case model.Bytes:
		return nil, fmt.Errorf("%s: a pointer to bytes: leave the pointer out", at)
	}
	return &model.Type{Shape: model.Pointer, Go: t, Elem: elem}, nil
}

func (r *reader) mapOf(t types.Type, m *types.Map, at string) (*model.Type, error) {
	key, err := r.typeOf(m.Key(), at+" (key)")
	if err != nil {
		return nil, err
	}
	if key.Shape > model.Text || key.Shape == model.Float {
		return nil, fmt.Errorf("%s: keys of maps are texts, integers or truth values, not %s", at, r.spell(m.Key()))
	}
	elem, err := r.element(m.Elem(), at+"[]")
	return &model.Type{Shape: model.Map, Go: t, Key: key, Elem: elem}, err
}

// element is typeOf for what lists and maps hold. A list in a list needs a message.
func (r *reader) element(t types.Type, at string) (*model.Type, error) {
	elem, err := r.typeOf(t, at)
	if err != nil {
		return nil, err
	}
	switch elem.Shape {
	case model.Pointer:
		if elem.Elem.Shape != model.Struct {
			return nil, fmt.Errorf("%s: elements that are pointers to %s: leave the pointer out", at, r.spell(elem.Elem.Go))
		}
	case model.List, model.Map, model.Array:
		if elem.Shape == model.Array && elem.Elem.Scalar == "uint32" && isByte(elem.Elem.Go) {
			return elem, nil
		}
		elem.Message = r.items(elem)
	}
	return elem, nil
}

func isByte(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Kind() == types.Uint8
}

// items gives the message that stands for a list or a map which is itself an element.
func (r *reader) items(t *model.Type) *model.Message {
	key := types.TypeString(t.Go, nil)
	if m := r.messages[key]; m != nil {
		return m
	}
	m := &model.Message{Name: r.messageName(t.Go), Go: t.Go, Items: true, Doc: "stands for " + r.spell(t.Go) + "."}
	m.Fields = []*model.Field{{Name: "Items", Wire: "items", Type: &model.Type{Shape: t.Shape, Go: t.Go, Key: t.Key, Elem: t.Elem, Len: t.Len}}}
	r.messages[key] = m
	r.contract.Messages = append(r.contract.Messages, m)
	return m
}

// message gives the message of a struct, with those that it needs.
func (r *reader) message(t *types.Named, s *types.Struct, at string) (*model.Message, error) {
	key := types.TypeString(t, nil)
	if m := r.messages[key]; m != nil {
		return m, nil
	}
	if why := r.refused[key]; why != nil {
		return nil, why
	}
	m := &model.Message{Name: r.messageName(t), Go: t, Doc: r.docs[t.Obj().Pos()]}
	r.messages[key] = m // before its fields, which may lead back to it
	r.contract.Messages = append(r.contract.Messages, m)
	seen := make(map[string]string)
	for i := range s.NumFields() {
		f := s.Field(i)
		if f.Name() == "_" || reflect.StructTag(s.Tag(i)).Get("reattach") == "-" {
			continue
		}
		field, err := r.structField(t, f, at)
		if err == nil && seen[field.Wire] != "" {
			err = fmt.Errorf("%s: fields %s and %s of %s are both %s on the wire", at, seen[field.Wire], f.Name(), r.spell(t), field.Wire)
		}
		if err != nil {
			r.refused[key] = err
			return nil, err
		}
		seen[field.Wire] = f.Name()
		m.Fields = append(m.Fields, field)
	}
	return m, nil
}

func (r *reader) structField(of *types.Named, f *types.Var, at string) (*model.Field, error) {
	place := at + ": " + of.Obj().Name() + "." + f.Name()
	if strings.HasSuffix(at, "."+f.Name()) {
		place = at
	}
	switch {
	case !f.Exported():
		return nil, fmt.Errorf("%s is not exported, so its value would be lost: export it, tag it `reattach:\"-\"`, or give %s MarshalBinary and UnmarshalBinary", place, of.Obj().Name())
	case !portable(f.Name()):
		return nil, fmt.Errorf("%s: other languages cannot spell this name", place)
	}
	t, err := r.typeOf(f.Type(), place)
	if err != nil {
		return nil, err
	}
	return &model.Field{Name: f.Name(), Wire: snake(f.Name()), Type: t, Doc: r.docs[f.Pos()]}, nil
}

// messageName gives the name that a type has on the wire.
func (r *reader) messageName(t types.Type) string {
	switch t := types.Unalias(t).(type) {
	case *types.Named:
		name := title(t.Obj().Name())
		if pkg := t.Obj().Pkg(); pkg != nil && pkg.Path() != r.pkg.PkgPath {
			name = title(pkg.Name()) + name
		}
		for i := range t.TypeArgs().Len() {
			name += "Of" + r.messageName(t.TypeArgs().At(i))
		}
		return name
	case *types.Basic:
		return title(t.Name())
	case *types.Pointer:
		return r.messageName(t.Elem())
	case *types.Slice:
		return "ListOf" + r.messageName(t.Elem())
	case *types.Array:
		return fmt.Sprintf("Array%dOf%s", t.Len(), r.messageName(t.Elem()))
	case *types.Map:
		return "MapOf" + r.messageName(t.Key()) + "To" + r.messageName(t.Elem())
	}
	return "Value"
}

// spell writes a type as the package's source does.
func (r *reader) spell(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p.Path() == r.pkg.PkgPath {
			return ""
		}
		return p.Name()
	})
}
