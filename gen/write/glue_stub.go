// SPDX-License-Identifier: MPL-2.0

package write

import (
	"fmt"
	"slices"

	"github.com/reattach/reattach/gen/model"
)

// stub writes the caller's side.
func (f *file) stub(s *model.Service) {
	name := lower(s.Name) + "Stub"
	f.p("// %s is the caller's side of %s, over either protocol.", name, s.Name)
	f.p("type %s struct {", name)
	f.p("ctx context.Context // of calls whose method has none\ncaller contract.Caller\n}\n")
	bare := slices.ContainsFunc(s.Methods, func(m *model.Method) bool { return !m.Context })
	if bare {
		f.p("// WithContext gives %s whose methods without a context are called with ctx.", article(s.Name))
		f.p("func (s *%s) WithContext(ctx context.Context) any { return &%s{ctx, s.caller} }\n", name, name)
	}
	for _, m := range s.Methods {
		f.p("func (s *%s) %s%s {", name, m.Name, f.signature(m))
		switch {
		case m.Request != nil:
			f.stubPass(m)
		case stream(m.Params) != nil || stream(m.Results) != nil:
			f.stubStream(s, m)
		default:
			f.stubUnary(s, m)
		}
		f.p("}\n")
	}
}

// stubRequest writes the request of a call.
func (f *file) stubRequest(s *model.Service, m *model.Method) {
	f.p("c := new(contract.Conv)")
	for _, p := range m.Params {
		if p.Type.Shape == model.Callback {
			service := p.Type.Service
			f.p("%sID, stop%s := contract.Serve(c, s.caller, %s, new%sServer)", f.local(p), upper(p.Name), f.local(p), service.Name)
			f.p("defer stop%s()", upper(p.Name))
		}
	}
	f.p("request := &%s.%s{", f.pb(), requestName(s, m))
	for _, p := range m.Params {
		if p == stream(m.Params) {
			continue
		}
		f.p("%s: %s,", f.messages.field(requestName(s, m), p.Wire), f.given(p))
	}
	f.p("}")
}

func (f *file) stubUnary(s *model.Service, m *model.Method) {
	f.stubRequest(s, m)
	f.p("answer := new(%s.%s)", f.pb(), answerName(s, m))
	do := fmt.Sprintf("wireErrors.Do(%s, s.caller, %q, c, request, answer)", f.ctx(m), m.Name)
	switch {
	case !m.Err:
		f.p("if err := %s; err != nil {\npanic(err)\n}", do)
	case len(m.Results) == 0:
		f.p("return %s", do)
		return
	default:
		f.p("if err := %s; err != nil {\nreturn %s\n}", do, f.results(m, "err"))
	}
	for _, r := range m.Results {
		f.p("%s = %s", f.local(r), f.from(r.Type, f.get("answer", answerName(s, m), r)))
	}
	switch {
	case m.Err:
		f.p("return %s", f.results(m, fmt.Sprintf("contract.Check(%q, c)", m.Name)))
	case len(m.Results) > 0:
		f.p("if err := contract.Check(%q, c); err != nil {\npanic(err)\n}\nreturn %s", m.Name, f.results(m, ""))
	}
}

// ctx names the context of a call.
func (f *file) ctx(m *model.Method) string {
	if m.Context {
		return "ctx"
	}
	return "s.ctx"
}
