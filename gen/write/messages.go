// SPDX-License-Identifier: MPL-2.0

package write

import (
	"context"
	"fmt"
	"strings"

	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/cmd/protoc-gen-go/internal_gengo"
	"google.golang.org/protobuf/compiler/protogen"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"

	"github.com/reattach/reattach/gen/compile"
	"github.com/reattach/reattach/gen/model"
)

// messages are the contract's messages in Go.
type messages struct {
	source []byte // the .pb.go file
	file   *protogen.File
}

// messagesOf compiles a .proto file, given by its source, and writes its messages in Go as
// protoc-gen-go does.
func messagesOf(ctx context.Context, c *model.Contract, source string) (*messages, error) {
	name := protoFile(c)
	compiled, err := compile.File(ctx, name, source)
	if err != nil {
		return nil, fmt.Errorf("the messages of %s: %w", c.Name, err)
	}
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{name}, Parameter: proto.String("paths=source_relative,M" + name + "=" + pbPath(c) + ";" + pbName(c)),
		ProtoFile: withImports(compiled, make(map[string]bool)),
	}
	plugin, err := protogen.Options{}.New(request)
	if err != nil {
		return nil, err
	}
	m := &messages{file: plugin.FilesByPath[name]}
	internal_gengo.GenerateFile(plugin, m.file)
	answer := plugin.Response()
	if answer.Error != nil || len(answer.File) != 1 {
		return nil, fmt.Errorf("write the messages of %s: %s", c.Name, answer.GetError())
	}
	m.source = []byte(answer.File[0].GetContent())
	return m, nil
}

// withImports gives a file after those that it imports.
func withImports(f linker.File, seen map[string]bool) (all []*descriptorpb.FileDescriptorProto) {
	add := func(d protoreflect.FileDescriptor) {
		if !seen[d.Path()] {
			seen[d.Path()] = true
			all = append(all, protoutil.ProtoFromFileDescriptor(d))
		}
	}
	imports := f.Imports()
	for i := range imports.Len() {
		add(imports.Get(i).FileDescriptor)
	}
	add(f)
	return all
}

// field gives the Go name of a field.
func (m *messages) field(message, wire string) string {
	for _, one := range m.file.Messages {
		if string(one.Desc.Name()) != message {
			continue
		}
		for _, f := range one.Fields {
			if string(f.Desc.Name()) == wire {
				return f.GoName
			}
		}
	}
	panic("no field " + wire + " in message " + message)
}

// gobSource lets the messages of calls travel over net/rpc. It is empty if none of them is the
// contract's.
func gobSource(c *model.Contract) string {
	var b strings.Builder
	b.WriteString(heading(c, "//"))
	fmt.Fprintf(&b, "\npackage %s\n\nimport \"google.golang.org/protobuf/proto\"\n", pbName(c))
	written := make(map[string]bool)
	for _, s := range c.Services {
		for _, m := range s.Methods {
			for _, one := range []struct {
				message *model.Message
				name    string
			}{{m.Request, requestName(s, m)}, {m.Answer, answerName(s, m)}} {
				name := one.name
				if written[name] || one.message != nil && !isOwn(c, one.message) {
					continue
				}
				written[name] = true
				fmt.Fprintf(&b, "\n// GobEncode gives what net/rpc carries: the same bytes as gRPC.\nfunc (x *%s) GobEncode() ([]byte, error) { return proto.Marshal(x) }\n", name)
				fmt.Fprintf(&b, "\n// GobDecode undoes GobEncode.\nfunc (x *%s) GobDecode(raw []byte) error { return proto.Unmarshal(raw, x) }\n", name)
			}
		}
	}
	if len(written) == 0 {
		return ""
	}
	return b.String()
}
