// SPDX-License-Identifier: MPL-2.0

package write

import (
	"fmt"

	"github.com/reattach/reattach/gen/model"
)

// item is the field of a message that carries the items of a stream.
func item(x *model.Field) *model.Field {
	return &model.Field{Name: x.Name, Wire: x.Wire, Number: x.Number, Optional: true, Type: x.Type.Elem}
}

// writer writes the function that makes a message of an item.
func (f *file) writer(message string, x *model.Field) string {
	one := item(x)
	value := f.to(one.Type, "item")
	return fmt.Sprintf("func(%s *contract.Conv, item %s) *%s.%s {\nreturn &%s.%s{%s: %s}\n}", usesConv(value), f.spell(one.Type.Go),
		f.pb(), message, f.pb(), message, f.messages.field(message, x.Wire), value)
}

// reader writes the function that reads an item from a message.
func (f *file) reader(message string, x *model.Field) string {
	one := item(x)
	value := f.from(one.Type, f.get("m", message, one))
	return fmt.Sprintf("func(%s *contract.Conv, m *%s.%s) %s {\nreturn %s\n}", usesConv(value), f.pb(), message, f.spell(one.Type.Go), value)
}

func usesConv(expression string) string {
	if containsConv(expression) {
		return "c"
	}
	return "_"
}

// stubStream writes the body of a stub's method that has a stream.
func (f *file) stubStream(s *model.Service, m *model.Method) {
	in, out := stream(m.Params), stream(m.Results)
	none := ""
	if out != nil && !m.Err {
		f.p("return contract.Lazy(func() (%s, error) {", f.spell(out.Type.Go))
		none = "nil, "
	} else {
		for _, r := range m.Results {
			none += f.local(r) + ", "
		}
	}
	f.stubRequest(s, m)
	f.p("stream, err := wireErrors.Open(%s, s.caller, %q, c, request, %t, %t)", f.ctx(m), m.Name, in != nil, out != nil)
	f.p("if err != nil {\nreturn %serr\n}", none)
	if in != nil {
		items := f.local(in)
		if in.Type.Shape == model.Chan {
			items = fmt.Sprintf("contract.FromChan(stream.Context(), %s)", items)
		}
		f.p("stream = contract.Upload(%q, stream, %s, %s)", m.Name, items, f.writer(requestName(s, m), in))
	}
	if out == nil {
		f.p("answer := new(%s.%s)", f.pb(), answerName(s, m))
		if len(m.Results) == 0 {
			f.p("return wireErrors.Finish(%q, stream, answer)", m.Name)
			return
		}
		f.p("if err := wireErrors.Finish(%q, stream, answer); err != nil {\nreturn %serr\n}", m.Name, none)
		for _, r := range m.Results {
			f.p("%s = %s", f.local(r), f.from(r.Type, f.get("answer", answerName(s, m), r)))
		}
		f.p("return %scontract.Check(%q, c)", none, m.Name)
		return
	}
	f.p("if err := wireErrors.Begun(stream); err != nil {\nreturn %serr\n}", none)
	items := fmt.Sprintf("contract.Receive(wireErrors, %q, stream, %s)", m.Name, f.reader(answerName(s, m), out))
	if out.Type.Shape == model.Chan {
		items = fmt.Sprintf("contract.ToChan(ctx, %s)", items)
	}
	f.p("return %s, nil", items)
	if !m.Err {
		f.p("})")
	}
}

// serverStream writes the two methods of a server that serve a stream: one for net/rpc,
// and one for either protocol.
func (f *file) serverStream(s *model.Service, m *model.Method) {
	name, in, out := lower(s.Name)+"Server", stream(m.Params), stream(m.Results)
	pb := f.pb()
	f.p("// %s serves the method over net/rpc, where its stream goes through the broker.", m.Name)
	f.p("func (s *%s) %s(_ context.Context, request *%s.%s, _ *%s.%s) error {", name, m.Name, pb, requestName(s, m), pb, answerName(s, m))
	f.p("return s.peer.Stream(%q, request.GetReattachStream(), func(ctx context.Context, stream contract.Stream) error {", m.Name)
	f.p("return s.serve%s(ctx, request, stream)\n})\n}\n", m.Name)
	ctx := "_"
	if m.Context {
		ctx = "ctx"
	}
	f.p("func (s *%s) serve%s(%s context.Context, request *%s.%s, stream contract.Stream) error {", name, m.Name, ctx, pb, requestName(s, m))
	f.serverArguments(s, m)
	if in != nil {
		items := fmt.Sprintf("contract.Incoming(wireErrors, %q, stream, %s)", m.Name, f.reader(requestName(s, m), in))
		if in.Type.Shape == model.Chan {
			items = fmt.Sprintf("contract.ToChan(ctx, %s)", items)
		}
		f.p("%s := %s", f.local(in), items)
	}
	call := fmt.Sprintf("s.impl.%s(%s)", m.Name, f.arguments(m))
	switch {
	case len(m.Results) == 0:
		f.p("if err := %s; err != nil {\nreturn wireErrors.Encode(err)\n}", call)
	case m.Err:
		f.p("%s := %s\nif err != nil {\nreturn wireErrors.Encode(err)\n}", f.results(m, "err"), call)
	default:
		f.p("%s := %s", f.results(m, ""), call)
	}
	if out == nil {
		f.p("answer := &%s.%s{", pb, answerName(s, m))
		for _, r := range m.Results {
			f.p("%s: %s,", f.messages.field(answerName(s, m), r.Wire), f.given(r))
		}
		f.p("}\nif err := contract.Check(%q, c); err != nil {\nreturn err\n}\nreturn stream.Send(answer)\n}\n", m.Name)
		return
	}
	items := f.local(out)
	if out.Type.Shape == model.Chan {
		items = fmt.Sprintf("contract.FromChan(stream.Context(), %s)", items)
	}
	f.p("return contract.Answer(wireErrors, %q, stream, %s, %s)\n}\n", m.Name, items, f.writer(answerName(s, m), out))
}
