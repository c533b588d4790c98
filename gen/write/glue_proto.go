// SPDX-License-Identifier: MPL-2.0

package write

import (
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
	if m.Request != "" && stream(m.Params) != nil {
		return "Requests"
	}
	return "Streaming"
}

// stubPass writes the body of a stub's method whose messages travel as they are.
func (f *file) stubPass(m *model.Method) {
	in, out := stream(m.Params), stream(m.Results)
	param := f.local(m.Params[0])
	if in == nil && out == nil {
		f.p("answer = new(%s.%s)", f.pb(), m.Answer)
		f.p("if err := wireErrors.Pass(ctx, s.caller, %q, %s, answer); err != nil {\nreturn nil, err\n}", m.Name, param)
		f.p("return answer, nil")
		return
	}
	if in == nil {
		f.p("stream, err := wireErrors.Open(ctx, s.caller, %q, new(contract.Conv), %s, false, true)", m.Name, param)
	} else {
		f.p("stream, err := wireErrors.Open(ctx, s.caller, %q, new(contract.Conv), nil, true, %t)", m.Name, out != nil)
	}
	f.p("if err != nil {\nreturn nil, err\n}")
	if in != nil {
		f.p("stream = contract.Upload(%q, stream, %s, contract.Same)", m.Name, param)
	}
	if out == nil {
		f.p("answer = new(%s.%s)", f.pb(), m.Answer)
		f.p("return answer, wireErrors.Last(stream, answer)")
		return
	}
	f.p("if err := wireErrors.Begun(stream); err != nil {\nreturn nil, err\n}")
	f.p("return contract.Receive(wireErrors, %q, stream, contract.Same[*%s.%s]), nil", m.Name, f.pb(), m.Answer)
}

// serverPass writes a server's method whose messages travel as they are.
func (f *file) serverPass(s *model.Service, m *model.Method) {
	name, pb := lower(s.Name)+"Server", f.pb()
	in, out := stream(m.Params), stream(m.Results)
	if in == nil && out == nil {
		f.p("// %s serves the method over either protocol.", m.Name)
		f.p("func (s *%s) %s(ctx context.Context, request *%s.%s, answer *%s.%s) error {", name, m.Name, pb, m.Request, pb, m.Answer)
		f.p("given, err := s.impl.%s(ctx, request)\nreturn wireErrors.Give(answer, given, err)\n}\n", m.Name)
		return
	}
	f.p("// %s serves the method over net/rpc, where its stream goes through the broker.", m.Name)
	f.p("func (s *%s) %s(_ context.Context, opening *contract.Opening, _ *struct{}) error {", name, m.Name)
	if in != nil {
		f.p("return s.peer.Stream(%q, opening.Stream, s.serve%s)\n}\n", m.Name, m.Name)
		f.p("func (s *%s) serve%s(ctx context.Context, stream contract.Stream) error {", name, m.Name)
		f.p("requests := contract.Incoming(wireErrors, %q, stream, contract.Same[*%s.%s])", m.Name, pb, m.Request)
		f.p("given, err := s.impl.%s(ctx, requests)", m.Name)
	} else {
		f.p("request := new(%s.%s)\nif err := opening.Read(request); err != nil {\nreturn err\n}", pb, m.Request)
		f.p("return s.peer.Stream(%q, opening.Stream, func(ctx context.Context, stream contract.Stream) error {", m.Name)
		f.p("return s.serve%s(ctx, request, stream)\n})\n}\n", m.Name)
		f.p("func (s *%s) serve%s(ctx context.Context, request *%s.%s, stream contract.Stream) error {", name, m.Name, pb, m.Request)
		f.p("given, err := s.impl.%s(ctx, request)", m.Name)
	}
	f.p("if err != nil {\nreturn wireErrors.EncodeStatus(err)\n}")
	if out == nil {
		f.p("return stream.Send(given)\n}\n")
	} else {
		f.p("return contract.Answer(wireErrors, %q, stream, given, contract.Same)\n}\n", m.Name)
	}
}
