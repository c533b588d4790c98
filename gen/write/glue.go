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

// article puts "a" or "an" before a name.
func article(name string) string {
	if strings.ContainsRune("AEIOU", rune(name[0])) {
		return "an " + name
	}
	return "a " + name
}
