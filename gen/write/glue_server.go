// SPDX-License-Identifier: MPL-2.0

package write

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reattach/reattach/gen/model"
)

// server writes the side of whoever implements the interface.
func (f *file) server(s *model.Service) {
	name := lower(s.Name) + "Server"
	f.p("// %s serves %s. Its methods are those of net/rpc, and of gRPC.", name, article(s.Name))
	f.p("type %s struct {\nimpl %s\npeer *contract.Peer\n}\n", name, s.Name)
	if s.Kind == "" {
		f.p("// new%sServer lets the other side of a call use %s.", s.Name, article(s.Name))
		f.p("func new%sServer(impl %s, peer *contract.Peer) (any, func(grpc.ServiceRegistrar)) {", s.Name, s.Name)
		f.p("s := &%s{impl, peer}\nreturn s, s.register\n}\n", name)
	}
	f.p("func (s *%s) register(to grpc.ServiceRegistrar) {", name)
	f.p("contract.Register(to, %s, %q,", f.serviceName(s), protoFile(f.contract))
	for _, m := range s.Methods {
		if stream(m.Params) != nil || stream(m.Results) != nil {
			f.p("contract.%s(%q, s.serve%s),", streaming(m), m.Name, m.Name)
		} else {
			f.p("contract.Unary(%q, s.%s),", m.Name, m.Name)
		}
	}
	f.p(")\n}\n")
	for _, m := range s.Methods {
		if m.Request != nil {
			f.serverPass(s, m)
		} else if stream(m.Params) != nil || stream(m.Results) != nil {
			f.serverStream(s, m)
		} else {
			f.serverUnary(s, m)
		}
	}
}

// serverArguments writes how a server reads the arguments of a call.
func (f *file) serverArguments(s *model.Service, m *model.Method) {
	f.p("if err := contract.Accept(%q, request); err != nil {\nreturn err\n}", m.Name)
	f.p("c := new(contract.Conv)")
	for _, p := range m.Params {
		if p == stream(m.Params) {
			continue
		}
		value := f.get("request", requestName(s, m), p)
		if p.Type.Shape == model.Callback {
			f.p("var %s %s", f.local(p), f.spell(p.Type.Go))
			f.p("if id := %s; id != 0 {", value)
			f.p("caller, end := s.peer.Dial(c, %s, id)\ndefer end()", f.serviceName(p.Type.Service))
			f.p("%s = &%sStub{ctx, caller}\n}", f.local(p), lower(p.Type.Service.Name))
			continue
		}
		f.p("%s := %s", f.local(p), f.from(p.Type, value))
	}
	f.p("if err := contract.Refuse(%q, c); err != nil {\nreturn err\n}", m.Name)
}

// arguments lists what the implementation is called with.
func (f *file) arguments(m *model.Method) string {
	var all []string
	if m.Context {
		all = append(all, "ctx")
	}
	for i, p := range m.Params {
		name := f.local(p)
		if m.Variadic && i == len(m.Params)-1 {
			name += "..."
		}
		all = append(all, name)
	}
	return strings.Join(all, ", ")
}

func (f *file) serverUnary(s *model.Service, m *model.Method) {
	context := "_"
	if m.Context || slices.ContainsFunc(m.Params, func(p *model.Field) bool { return p.Type.Shape == model.Callback }) {
		context = "ctx"
	}
	answer := "answer"
	if len(m.Results) == 0 {
		answer = "_"
	}
	f.p("// %s serves the method over either protocol.", m.Name)
	f.p("func (s *%sServer) %s(%s context.Context, request *%s.%s, %s *%s.%s) error {", lower(s.Name), m.Name, context,
		f.pb(), requestName(s, m), answer, f.pb(), answerName(s, m))
	f.serverArguments(s, m)
	call := fmt.Sprintf("s.impl.%s(%s)", m.Name, f.arguments(m))
	switch {
	case len(m.Results) == 0 && m.Err:
		f.p("return wireErrors.Encode(%s)\n}\n", call)
		return
	case len(m.Results) == 0:
		f.p("%s\nreturn nil\n}\n", call)
		return
	case m.Err:
		f.p("%s := %s\nif err != nil {\nreturn wireErrors.Encode(err)\n}", f.results(m, "err"), call)
	default:
		f.p("%s := %s", f.results(m, ""), call)
	}
	for _, r := range m.Results {
		f.p("answer.%s = %s", f.messages.field(answerName(s, m), r.Wire), f.given(r))
	}
	f.p("return contract.Check(%q, c)\n}\n", m.Name)
}
