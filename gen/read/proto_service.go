// SPDX-License-Identifier: MPL-2.0

package read

import (
	"go/token"
	"go/types"
	"path"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/reattach/reattach/gen/model"
)

func (p *protoReader) service(d protoreflect.ServiceDescriptor) {
	doc, words := docOf(d)
	s := &model.Service{Name: string(d.Name()), Doc: doc, Kind: strings.ToLower(string(d.Name())), Pos: p.at(d)}
	for _, w := range words {
		if w.name != "kind" || w.value == "" {
			p.refusals.add(s.Pos, "reattach:%s is not known here: a service has reattach:kind=name", w.name)
			continue
		}
		s.Kind = w.value
	}
	for i := range d.Methods().Len() {
		s.Methods = append(s.Methods, p.method(d.Methods().Get(i)))
	}
	if len(s.Methods) == 0 {
		p.refusals.add(s.Pos, "service %s has no methods", s.Name)
	}
	p.contract.Services = append(p.contract.Services, s)
}

func (p *protoReader) method(d protoreflect.MethodDescriptor) *model.Method {
	doc, words := docOf(d)
	m := &model.Method{Name: string(d.Name()), Doc: doc, Pos: p.at(d), Context: true, Err: true}
	m.Request, m.Answer = p.carried(m, d.Input()), p.carried(m, d.Output())
	if d.IsStreamingClient() {
		m.Params = []*model.Field{{Name: "requests", Wire: "requests", Type: p.seq(pointer(m.Request))}}
	} else if d.Input().FullName() != empty {
		m.Params = []*model.Field{{Name: "request", Wire: "request", Type: pointer(m.Request)}}
	}
	if d.IsStreamingServer() {
		m.Results = []*model.Field{{Name: "answers", Wire: "answers", Type: p.seq(pointer(m.Answer))}}
	} else if d.Output().FullName() != empty {
		m.Results = []*model.Field{{Name: "answer", Wire: "answer", Type: pointer(m.Answer)}}
	}
	if o, ok := d.Options().(*descriptorpb.MethodOptions); ok {
		m.Idempotent = o.GetIdempotencyLevel() != descriptorpb.MethodOptions_IDEMPOTENCY_UNKNOWN
	}
	if err := declare(m, words); err != nil {
		p.refusals.add(m.Pos, "%s: %v", m.Name, err)
	}
	if streams := d.IsStreamingClient() || d.IsStreamingServer(); streams && m.Idempotent && m.Repeats == nil {
		none := 0 // what travels inside a stream is not repeated
		m.Repeats = &none
	}
	return m
}

// own begins the files of protocol buffers' own.
const own = "google/protobuf/"

// empty is the message that says nothing: a method that takes it has no parameter, and one
// that gives it no result but an error.
const empty protoreflect.FullName = "google.protobuf.Empty"

// carried gives the message that a method takes or gives: one of the file, or one of protocol
// buffers' own, such as google.protobuf.Timestamp.
func (p *protoReader) carried(m *model.Method, d protoreflect.MessageDescriptor) *model.Message {
	if found := p.messages[d.FullName()]; found != nil {
		return found
	}
	o, ok := d.ParentFile().Options().(*descriptorpb.FileOptions)
	if !ok || !strings.HasPrefix(d.ParentFile().Path(), own) {
		p.refusals.add(m.Pos, "%s: %s is not of this file: declare a message for it here, so that the method can get fields later", m.Name, d.FullName())
		return &model.Message{Go: types.NewNamed(types.NewTypeName(token.NoPos, p.pkg, "Refused", nil), types.NewStruct(nil, nil), nil)}
	}
	made := p.made(d, types.NewPackage(o.GetGoPackage(), path.Base(o.GetGoPackage())))
	p.messages[d.FullName()] = made
	return made
}

// pointer is the type by which Go has a message.
func pointer(m *model.Message) *model.Type {
	elem := &model.Type{Shape: model.Struct, Go: m.Go, Message: m}
	return &model.Type{Shape: model.Pointer, Go: types.NewPointer(m.Go), Elem: elem}
}

// seq is iter.Seq2 of a type and error.
func (p *protoReader) seq(elem *model.Type) *model.Type {
	pkg := types.NewPackage("iter", "iter")
	generic := types.NewNamed(types.NewTypeName(token.NoPos, pkg, "Seq2", nil), types.NewSignatureType(nil, nil, nil, nil, nil, false), nil)
	var params []*types.TypeParam
	for _, name := range []string{"K", "V"} {
		params = append(params, types.NewTypeParam(types.NewTypeName(token.NoPos, pkg, name, nil), types.Universe.Lookup("any").Type()))
	}
	generic.SetTypeParams(params)
	made, err := types.Instantiate(nil, generic, []types.Type{elem.Go, types.Universe.Lookup("error").Type()}, false)
	if err != nil {
		panic(err) // only for a wrong number of arguments
	}
	return &model.Type{Shape: model.Seq, Go: made, Elem: elem}
}

// docOf gives the comment of a descriptor, and the words of its directives.
func docOf(d protoreflect.Descriptor) (doc string, words []word) {
	var lines []string
	for line := range strings.SplitSeq(d.ParentFile().SourceLocations().ByDescriptor(d).LeadingComments, "\n") {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, strings.TrimPrefix(prefix, "//")); ok {
			for _, field := range strings.Fields(text) {
				name, value, _ := strings.Cut(field, "=")
				words = append(words, word{name, value})
			}
			continue
		}
		lines = append(lines, line)
	}
	return strings.TrimSpace(strings.Join(lines, "\n")), words
}
