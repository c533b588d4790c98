// SPDX-License-Identifier: MPL-2.0

package read

import (
	"go/token"
	"go/types"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/reattach/reattach/gen/model"
)

// made gives a message, with its fields, that is in a package of Go.
func (p *protoReader) made(d protoreflect.MessageDescriptor, in *types.Package) *model.Message {
	m := &model.Message{Name: goName(d), Foreign: string(d.FullName())}
	m.Go = types.NewNamed(types.NewTypeName(token.NoPos, in, m.Name, nil), types.NewStruct(nil, nil), nil)
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		text := p.text(f)
		m.Fields = append(m.Fields, &model.Field{
			Name: string(f.Name()), Wire: string(f.Name()), Number: int(f.Number()), Type: &model.Type{Text: text},
		})
	}
	return m
}

// message notes a message of the file, so that its changes are seen.
func (p *protoReader) message(d protoreflect.MessageDescriptor) {
	m := p.made(d, p.pkg)
	p.messages[d.FullName()] = m
	p.contract.Messages = append(p.contract.Messages, m)
	for i := range d.Messages().Len() {
		if nested := d.Messages().Get(i); !nested.IsMapEntry() {
			p.message(nested)
		}
	}
}

// goName is the name that protoc-gen-go gives a message.
func goName(d protoreflect.Descriptor) string {
	if outer, ok := d.Parent().(protoreflect.MessageDescriptor); ok {
		return goName(outer) + "_" + string(d.Name())
	}
	return string(d.Name())
}

// text says how a field travels.
func (p *protoReader) text(f protoreflect.FieldDescriptor) string {
	one := func(f protoreflect.FieldDescriptor) string {
		switch {
		case f.Message() != nil && f.Message().ParentFile().Path() == p.file:
			return goName(f.Message())
		case f.Message() != nil:
			return string(f.Message().FullName())
		case f.Enum() != nil:
			return "int32"
		}
		return f.Kind().String()
	}
	switch {
	case f.IsMap():
		return "map<" + one(f.MapKey()) + ", " + one(f.MapValue()) + ">"
	case f.IsList():
		return "repeated " + one(f)
	case f.HasOptionalKeyword():
		return "optional " + one(f)
	}
	return one(f)
}
