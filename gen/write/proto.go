// SPDX-License-Identifier: MPL-2.0

package write

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reattach/reattach/gen/model"
)

// streamField is the name of the field of a request that says, over net/rpc, where its stream
// is.
const streamField = "reattach_stream"

// protoSource writes the contract's .proto file.
func protoSource(c *model.Contract) string {
	var b strings.Builder
	b.WriteString(heading(c, "//"))
	fmt.Fprintf(&b, "\n%ssyntax = \"proto3\";\n\npackage %s;\n\n", comment("", protoDoc(c)), wirePackage(c))
	for _, imported := range protoImports(c) {
		fmt.Fprintf(&b, "import %q;\n", imported)
	}
	fmt.Fprintf(&b, "\noption go_package = %q;\n", pbPath(c))
	for _, s := range c.Services {
		fmt.Fprintf(&b, "\n%sservice %s {\n", comment("", s.Doc), s.Name)
		for _, m := range s.Methods {
			in, out := streamed(stream(m.Params)), streamed(stream(m.Results))
			fmt.Fprintf(&b, "%s  rpc %s(%s%s) returns (%s%s)", comment("  ", m.Doc), m.Name, in, requestName(s, m), out, answerName(s, m))
			if m.Idempotent {
				b.WriteString(" {\n    option idempotency_level = IDEMPOTENT;\n  }\n")
			} else {
				b.WriteString(";\n")
			}
		}
		b.WriteString("}\n")
	}
	for _, s := range c.Services {
		for _, m := range s.Methods {
			protoMessage(&b, requestName(s, m), "", m.Params, true, stream(m.Params) != nil || stream(m.Results) != nil)
			protoMessage(&b, answerName(s, m), "", m.Results, true, false)
		}
	}
	for _, m := range c.Messages {
		protoMessage(&b, m.Name, m.Doc, m.Fields, false, false)
	}
	return b.String()
}

func protoDoc(c *model.Contract) string {
	return "The interfaces of package " + c.Name + ". In requests and answers, fields before " +
		"1000 must be given, those before 2000 must be understood."
}

// protoImports gives the files of protocol buffers' own that the contract needs.
func protoImports(c *model.Contract) []string {
	var files []string
	for _, t := range allTypes(c) {
		switch t.Shape {
		case model.Time:
			files = append(files, "google/protobuf/timestamp.proto")
		case model.Duration:
			files = append(files, "google/protobuf/duration.proto")
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// allTypes gives every type that the contract's values have, and what they are made of.
func allTypes(c *model.Contract) (all []*model.Type) {
	add := func(fields []*model.Field) {
		for _, f := range fields {
			for t := f.Type; t != nil; t = t.Elem {
				all = append(all, t)
			}
		}
	}
	for _, s := range c.Services {
		for _, m := range s.Methods {
			add(m.Params)
			add(m.Results)
		}
	}
	for _, m := range c.Messages {
		add(m.Fields)
	}
	return all
}

func protoMessage(b *strings.Builder, name, doc string, fields []*model.Field, call, streams bool) {
	if len(fields) == 0 && !streams {
		fmt.Fprintf(b, "\n%smessage %s {}\n", comment("", doc), name)
		return
	}
	fmt.Fprintf(b, "\n%smessage %s {\n", comment("", doc), name)
	for _, f := range fields {
		fmt.Fprintf(b, "%s  %s %s = %d;\n", comment("  ", f.Doc), protoType(f, call), f.Wire, f.Number)
	}
	if streams {
		fmt.Fprintf(b, "  // Where the stream is, over net/rpc.\n  uint32 %s = %d;\n", streamField, model.StreamNumber)
	}
	b.WriteString("}\n")
}

// protoType writes the type of a field. One of a call says whether it is there, so that a
// peer that leaves it out is told so.
func protoType(f *model.Field, call bool) string {
	t := f.Type
	switch t.Shape {
	case model.Callback:
		return "uint32"
	case model.Seq, model.Chan:
		return protoType(&model.Field{Type: t.Elem, Optional: true}, false)
	case model.Array:
		if t.Elem.IsByte() {
			return present(call && !f.Optional) + "bytes"
		}
		return "repeated " + t.Elem.Single()
	case model.Pointer:
		if scalar(t.Elem) {
			return "optional " + t.Elem.Scalar
		}
		return t.Elem.Wire()
	}
	if scalar(t) {
		return present(call && !f.Optional) + t.Scalar
	}
	return t.Wire()
}

func present(yes bool) string {
	if yes {
		return "optional "
	}
	return ""
}

func scalar(t *model.Type) bool { return t.Shape < model.Time }

// comment writes a text as a comment.
func comment(indent, text string) string {
	if text == "" {
		return ""
	}
	var b strings.Builder
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		b.WriteString(strings.TrimRight(indent+"// "+line, " ") + "\n")
	}
	return b.String()
}

// stream gives the field that is a stream; nil if there is none.
func stream(fields []*model.Field) *model.Field {
	for _, f := range fields {
		if f.Type.Shape == model.Seq || f.Type.Shape == model.Chan {
			return f
		}
	}
	return nil
}

func requestName(s *model.Service, m *model.Method) string {
	if m.Request != nil {
		return m.Request.Name
	}
	return s.Name + m.Name + "Request"
}

func answerName(s *model.Service, m *model.Method) string {
	if m.Answer != nil {
		return m.Answer.Name
	}
	return s.Name + m.Name + "Response"
}
