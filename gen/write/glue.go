// SPDX-License-Identifier: MPL-2.0

package write

import (
	"fmt"
	"go/types"
	"slices"
	"strings"

	"github.com/reattach/reattach/gen/model"
)

// glueFile writes what carries one interface.
func glueFile(c *model.Contract, m *messages, s *model.Service) ([]byte, error) {
	f := newFile(c, m, c.Name, c.Path)
	f.runtime()
	f.context()
	f.use("net/rpc", "rpc")
	f.use("github.com/hashicorp/go-plugin", "plugin")
	f.use("google.golang.org/grpc", "grpc")
	f.pb()
	if c.Proto != "" {
		f.iface(s)
	}
	if s.Kind != "" {
		f.plugin(s)
	}
	f.stub(s)
	f.server(s)
	return f.bytes()
}

// plugin writes the value that a PluginSet holds.
func (f *file) plugin(s *model.Service) {
	f.p("// %sKind is the name that %s is dispensed by.", s.Name, s.Name)
	f.p("const %sKind = %q\n", s.Name, s.Kind)
	f.p("// %sPlugin carries %s between processes, over net/rpc and gRPC.", s.Name, s.Name)
	f.p("type %sPlugin struct {", s.Name)
	f.p("// Impl is what a plugin serves. A host leaves it nil.\nImpl %s\n}\n", s.Name)
	f.p("var _ plugin.GRPCPlugin = (*%sPlugin)(nil)\n", s.Name)
	f.p("// Server implements plugin.Plugin.")
	f.p("func (p *%sPlugin) Server(b *plugin.MuxBroker) (any, error) {", s.Name)
	f.p("if p.Impl == nil {\nreturn nil, contract.NoImplementation(%sKind)\n}", s.Name)
	f.p("return plugin.ContextReceiver(&%sServer{p.Impl, contract.RPCPeer(b)}), nil\n}\n", lower(s.Name))
	f.p("// Client implements plugin.Plugin.")
	f.p("func (p *%sPlugin) Client(b *plugin.MuxBroker, c *rpc.Client) (any, error) {", s.Name)
	f.p("return &%sStub{context.Background(), contract.RPC(b, c)}, nil\n}\n", lower(s.Name))
	f.p("// GRPCServer implements plugin.GRPCPlugin.")
	f.p("func (p *%sPlugin) GRPCServer(b *plugin.GRPCBroker, s *grpc.Server) error {", s.Name)
	f.p("if p.Impl == nil {\nreturn contract.NoImplementation(%sKind)\n}", s.Name)
	f.p("(&%sServer{p.Impl, contract.GRPCPeer(b)}).register(s)\nreturn nil\n}\n", lower(s.Name))
	f.p("// GRPCClient implements plugin.GRPCPlugin. Calls of methods without a context end when ctx")
	f.p("// does, which is when the session with the plugin ends.")
	f.p("func (p *%sPlugin) GRPCClient(ctx context.Context, b *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {", s.Name)
	f.p("return &%sStub{ctx, contract.GRPC(%s, b, c)}, nil\n}\n", lower(s.Name), f.serviceName(s))
}

func (f *file) serviceName(s *model.Service) string {
	return fmt.Sprintf("%q", wirePackage(f.contract)+"."+s.Name)
}

// taken are the names that generated code uses itself, beside those of imports and those
// that Go declares, which a parameter may have as well.
var taken = []string{"c", "s", "f", "m", "ctx", "err", "request", "answer", "stream", "item", "items", "caller", "id", "end",
	"pickStub", "wireErrors"}

// local gives the name of the variable of a parameter or a result.
func (f *file) local(x *model.Field) string {
	name := x.Name
	if f.contract.Proto != "" {
		return name
	}
	for _, imported := range f.imports {
		if imported == name {
			return name + "Value"
		}
	}
	if slices.Contains(taken, name) || types.Universe.Lookup(name) != nil {
		return name + "Value"
	}
	return name
}

// signature writes the parameters and the results of a method, with names.
func (f *file) signature(m *model.Method) string {
	var in, out [][2]string // names and types
	if m.Context {
		in = append(in, [2]string{"ctx", "context.Context"})
	}
	for i, p := range m.Params {
		spelled := f.spell(p.Type.Go)
		if m.Variadic && i == len(m.Params)-1 {
			spelled = "..." + f.spell(p.Type.Elem.Go)
		}
		in = append(in, [2]string{f.local(p), spelled})
	}
	for _, r := range m.Results {
		out = append(out, [2]string{f.local(r), f.spell(r.Type.Go)})
	}
	if m.Err {
		out = append(out, [2]string{"err", "error"})
	}
	return fmt.Sprintf("(%s) (%s)", grouped(in), grouped(out))
}

// grouped writes names before their types: "a, b int, c string".
func grouped(vars [][2]string) string {
	var all []string
	for i, v := range vars {
		if i+1 < len(vars) && vars[i+1][1] == v[1] {
			all = append(all, v[0])
		} else {
			all = append(all, v[0]+" "+v[1])
		}
	}
	return strings.Join(all, ", ")
}

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

// get writes how a field of a message is read: by its getter, but for a scalar that may be
// nil.
func (f *file) get(from, message string, x *model.Field) string {
	name := f.messages.field(message, x.Wire)
	if x.Type.Shape == model.Pointer && scalar(x.Type.Elem) {
		return from + "." + name
	}
	return from + ".Get" + name + "()"
}

// given writes the value of a field of a request or an answer.
func (f *file) given(x *model.Field) string {
	if x.Type.Shape == model.Callback {
		return f.local(x) + "ID"
	}
	value := f.to(x.Type, f.local(x))
	switch protoType(x, true) {
	case "optional bytes":
		if x.Type.Shape != model.Pointer {
			return "contract.GivenBytes(" + value + ")"
		}
	case "optional " + x.Type.Scalar:
		return "contract.Given(" + value + ")"
	}
	return value
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

// results lists the results of a method for a return, err last.
func (f *file) results(m *model.Method, err string) string {
	var all []string
	for _, r := range m.Results {
		all = append(all, f.local(r))
	}
	if err != "" {
		all = append(all, err)
	}
	return strings.Join(all, ", ")
}

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

// article puts "a" or "an" before a name.
func article(name string) string {
	if strings.ContainsRune("AEIOU", rune(name[0])) {
		return "an " + name
	}
	return "a " + name
}
