// SPDX-License-Identifier: MPL-2.0

package write

import (
	"fmt"
	"go/types"

	"github.com/reattach/reattach/gen/model"
)

// iface writes the interface of a service that was read from a .proto file.
func (f *file) iface(s *model.Service) {
	doc := s.Doc
	if doc == "" {
		doc = s.Name + " is the service of that name."
	}
	f.p("%stype %s interface {", comment("", doc), s.Name)
	for _, m := range s.Methods {
		f.p("%s%s%s", comment("", m.Doc), m.Name, f.signature(m))
	}
	f.p("}\n")
}

// streaming names what registers a method with a stream.
func streaming(m *model.Method) string {
	if m.Request != nil && stream(m.Params) != nil {
		return "Requests"
	}
	return "Streaming"
}

// isOwn reports whether a message is of the contract's file, and not of protocol buffers' own.
func isOwn(c *model.Contract, m *model.Message) bool {
	named, ok := m.Go.(*types.Named)
	return ok && named.Obj().Pkg().Path() == pbPath(c)
}

// served is the type of a request or an answer of a server's method, without its pointer:
// net/rpc asks it how it is encoded, which messages of protocol buffers' own do not say.
func (f *file) served(m *model.Message) string {
	if isOwn(f.contract, m) {
		return f.spell(m.Go)
	}
	return "contract.Known[" + f.spell(m.Go) + "]"
}

// passed writes what a method is called with: the request, or nothing if it says nothing.
func (f *file) passed(m *model.Method, request string) string {
	if len(m.Params) == 0 {
		return "ctx"
	}
	return "ctx, " + request
}

// stubPass writes the body of a stub's method whose messages travel as they are.
func (f *file) stubPass(m *model.Method) {
	in, out := stream(m.Params), stream(m.Results)
	request, none := "new("+f.spell(m.Request.Go)+")", "nil, "
	if len(m.Params) > 0 {
		request = f.local(m.Params[0])
	}
	answer := "answer"
	if len(m.Results) == 0 {
		answer, none = "new("+f.spell(m.Answer.Go)+")", ""
	} else if out == nil {
		f.p("answer = new(%s)", f.spell(m.Answer.Go))
	}
	if in == nil && out == nil {
		pass := fmt.Sprintf("wireErrors.Pass(ctx, s.caller, %q, %s, %s)", m.Name, request, answer)
		if none == "" {
			f.p("return %s", pass)
			return
		}
		f.p("if err := %s; err != nil {\nreturn nil, err\n}\nreturn answer, nil", pass)
		return
	}
	if in == nil {
		f.p("stream, err := wireErrors.Open(ctx, s.caller, %q, new(contract.Conv), %s, false, true)", m.Name, request)
	} else {
		f.p("stream, err := wireErrors.Open(ctx, s.caller, %q, new(contract.Conv), nil, true, %t)", m.Name, out != nil)
	}
	f.p("if err != nil {\nreturn %serr\n}", none)
	if in != nil {
		f.p("stream = contract.Upload(%q, stream, %s, contract.Same)", m.Name, request)
	}
	switch {
	case out != nil:
		f.p("if err := wireErrors.Begun(stream); err != nil {\nreturn nil, err\n}")
		f.p("return contract.Receive(wireErrors, %q, stream, contract.Same[*%s]), nil", m.Name, f.spell(m.Answer.Go))
	case none == "":
		f.p("return wireErrors.Last(stream, %s)", answer)
	default:
		f.p("return answer, wireErrors.Last(stream, answer)")
	}
}

// serverPass writes a server's method whose messages travel as they are.
func (f *file) serverPass(s *model.Service, m *model.Method) {
	if stream(m.Params) == nil && stream(m.Results) == nil {
		f.serverPassUnary(s, m)
		return
	}
	name, in, out := lower(s.Name)+"Server", stream(m.Params), stream(m.Results)
	request := f.spell(m.Request.Go)
	f.p("// %s serves the method over net/rpc, where its stream goes through the broker.", m.Name)
	f.p("func (s *%s) %s(_ context.Context, opening *contract.Opening, _ *struct{}) error {", name, m.Name)
	if in != nil {
		f.p("return s.peer.Stream(%q, opening.Stream, s.serve%s)\n}\n", m.Name, m.Name)
		f.p("func (s *%s) serve%s(ctx context.Context, stream contract.Stream) error {", name, m.Name)
		f.p("requests := contract.Incoming(wireErrors, %q, stream, contract.Same[*%s])", m.Name, request)
		f.passCall(m, f.passed(m, "requests"))
	} else {
		f.p("request := new(%s)\nif err := opening.Read(request); err != nil {\nreturn err\n}", request)
		f.p("return s.peer.Stream(%q, opening.Stream, func(ctx context.Context, stream contract.Stream) error {", m.Name)
		f.p("return s.serve%s(ctx, request, stream)\n})\n}\n", m.Name)
		f.p("func (s *%s) serve%s(ctx context.Context, request *%s, stream contract.Stream) error {", name, m.Name, request)
		f.passCall(m, f.passed(m, "request"))
	}
	switch {
	case len(m.Results) == 0:
		f.p("return stream.Send(new(%s))\n}\n", f.spell(m.Answer.Go))
	case out == nil:
		f.p("return stream.Send(given)\n}\n")
	default:
		f.p("return contract.Answer(wireErrors, %q, stream, given, contract.Same)\n}\n", m.Name)
	}
}

// passCall writes the call of the implementation of a method with a stream.
func (f *file) passCall(m *model.Method, args string) {
	if len(m.Results) == 0 {
		f.p("if err := s.impl.%s(%s); err != nil {\nreturn wireErrors.EncodeStatus(err)\n}", m.Name, args)
		return
	}
	f.p("given, err := s.impl.%s(%s)\nif err != nil {\nreturn wireErrors.EncodeStatus(err)\n}", m.Name, args)
}

// serverPassUnary writes a server's method that takes one message and gives one.
func (f *file) serverPassUnary(s *model.Service, m *model.Method) {
	request, answer, given := "request", "answer", "request"
	if len(m.Params) == 0 {
		request = "_"
	} else if !isOwn(f.contract, m.Request) {
		given = "&request.Message"
	}
	if len(m.Results) == 0 {
		answer = "_"
	}
	f.p("// %s serves the method over either protocol.", m.Name)
	f.p("func (s *%sServer) %s(ctx context.Context, %s *%s, %s *%s) error {", lower(s.Name), m.Name, request, f.served(m.Request), answer, f.served(m.Answer))
	call := fmt.Sprintf("s.impl.%s(%s)", m.Name, f.passed(m, given))
	if len(m.Results) == 0 {
		f.p("return wireErrors.EncodeStatus(%s)\n}\n", call)
		return
	}
	f.p("given, err := %s\nreturn wireErrors.Give(answer, given, err)\n}\n", call)
}
