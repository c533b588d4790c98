// SPDX-License-Identifier: MPL-2.0

package read

import (
	"context"
	"fmt"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/reattach/reattach/gen/compile"
	"github.com/reattach/reattach/gen/model"
)

// Proto reads the contract in a .proto file: each service becomes an interface, whose
// methods take and give the messages themselves. dir is the directory of the Go package that
// is to carry it, and of the file.
func Proto(ctx context.Context, dir, file string) (*model.Contract, error) {
	source, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, err
	}
	pkgPath, err := importPath(ctx, dir)
	if err != nil {
		return nil, err
	}
	return protoContract(ctx, &model.Contract{Path: pkgPath, Dir: dir, Version: 1, Proto: file, ProtoSource: string(source)})
}

// protoContract reads the source that a contract has.
func protoContract(ctx context.Context, c *model.Contract) (*model.Contract, error) {
	file := c.Proto
	compiled, err := compile.File(ctx, file, c.ProtoSource)
	if err != nil {
		return nil, err
	}
	c.ProtoPackage = string(compiled.Package())
	if c.Name, c.Wire, c.Version = nameOf(c.ProtoPackage); c.Name == "" {
		return nil, Refusals{{Pos: token.Position{Filename: file, Line: 1}, Reason: "it needs a package, such as acme.store.v1"}}
	}
	c.CookieKey, c.CookieValue = strings.ToUpper(c.Name)+"_PLUGIN", c.Name
	p := &protoReader{contract: c, file: file, messages: make(map[protoreflect.FullName]*model.Message)}
	p.pkg = types.NewPackage(c.Path+"/"+c.Name+"pb", c.Name+"pb")
	for i := range compiled.Messages().Len() {
		p.message(compiled.Messages().Get(i))
	}
	for i := range compiled.Services().Len() {
		p.service(compiled.Services().Get(i))
	}
	p.free()
	if len(c.Services) == 0 {
		p.refusals.add(token.Position{Filename: file, Line: 1}, "it has no service")
	}
	return c, p.refusals.err()
}

// free holds that services and methods are names that Go exports, and that no service is
// called as something else that is written into the package.
func (p *protoReader) free() {
	declared := make(map[string]string)
	for _, name := range generated {
		declared[name] = "a generated file"
	}
	for _, s := range p.contract.Services {
		declared[s.Name+"Kind"], declared[s.Name+"Plugin"] = "what carries service "+s.Name, "what carries service "+s.Name
	}
	for _, s := range p.contract.Services {
		if by := declared[s.Name]; by != "" {
			p.refusals.add(s.Pos, "service %s: %s declares this name in the package: choose another one", s.Name, by)
		}
		if !token.IsExported(s.Name) {
			p.refusals.add(s.Pos, "service %s becomes an interface of Go: its name has to begin with a capital", s.Name)
		}
		for _, m := range s.Methods {
			if !token.IsExported(m.Name) {
				p.refusals.add(m.Pos, "method %s becomes one of an interface of Go: its name has to begin with a capital", m.Name)
			}
		}
	}
}

// importPath gives the import path of a directory, which need not have Go files yet.
func importPath(ctx context.Context, dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}}\t{{.Dir}}")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s is in no Go module: %w", dir, err)
	}
	for line := range strings.Lines(string(out)) { // several in a workspace
		module, root, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if rel, err := filepath.Rel(root, dir); err == nil && filepath.IsLocal(rel) {
			return path.Join(module, filepath.ToSlash(rel)), nil
		}
	}
	return "", fmt.Errorf("%s is in no Go module", dir)
}

var versioned = regexp.MustCompile(`^((?:.*\.)?([a-z][a-z0-9_]*))\.v([0-9]+)$`)

// nameOf gives the Go name, the name without the version, and the version of a package of
// protocol buffers.
func nameOf(pkg string) (name, wire string, version int) {
	if m := versioned.FindStringSubmatch(pkg); m != nil {
		version, _ = strconv.Atoi(m[3])
		return strings.ReplaceAll(m[2], "_", ""), m[1], max(version, 1)
	}
	return strings.ReplaceAll(pkg[strings.LastIndex(pkg, ".")+1:], "_", ""), pkg, 1
}

// own begins the files of protocol buffers' own.
const own = "google/protobuf/"

type protoReader struct {
	contract *model.Contract
	file     string
	pkg      *types.Package // of the messages
	messages map[protoreflect.FullName]*model.Message
	refusals Refusals
}

func (p *protoReader) at(d protoreflect.Descriptor) token.Position {
	loc := d.ParentFile().SourceLocations().ByDescriptor(d)
	return token.Position{Filename: filepath.Join(p.contract.Dir, p.file), Line: loc.StartLine + 1, Column: loc.StartColumn + 1}
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
