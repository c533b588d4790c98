// SPDX-License-Identifier: MPL-2.0

package write

import (
	"fmt"
	"strings"

	"github.com/reattach/reattach/gen/model"
)

// sharedFile writes what all interfaces of a contract have in common: the handshake, what a
// plugin serves, and how values and errors travel.
func sharedFile(c *model.Contract, m *messages) ([]byte, error) {
	f := newFile(c, m, c.Name, c.Path)
	f.runtime()
	f.use("github.com/hashicorp/go-plugin", "plugin")
	f.pb()
	f.handshake()
	f.implementations()
	f.errors()
	if c.Proto != "" {
		f.p("// The file is linked for server reflection, whatever messages methods have.")
		f.p("var _ = %s.%s\n", f.pb(), m.file.GoDescriptorIdent.GoName)
	}
	written := make(map[string]bool)
	for _, one := range c.Messages {
		if one.Foreign == "" {
			f.conversions(one)
		}
	}
	for _, t := range allTypes(c) {
		if t.Go != nil && t.Shape == model.Array && (t.Message == nil || t.Elem.IsByte()) && !written[arrayName(t)] {
			written[arrayName(t)] = true
			f.array(t)
		}
	}
	return f.bytes()
}

func (f *file) handshake() {
	c := f.contract
	f.p("// Version is the version of the contract. It counts up when a change breaks peers.")
	f.p("const Version = %d\n", c.Version)
	f.p("// Handshake is what hosts and plugins of this contract agree on. The cookie keeps people")
	f.p("// from starting a plugin by hand; it is no secret.")
	f.p("func Handshake() plugin.HandshakeConfig {")
	f.p("return plugin.HandshakeConfig{ProtocolVersion: 2*Version - 1, MagicCookieKey: %q, MagicCookieValue: %q}\n}\n", c.CookieKey, c.CookieValue)
	f.p("// Versions gives set for each version that is negotiated: %d is this contract over net/rpc,", 2*c.Version-1)
	f.p("// %d over gRPC.", 2*c.Version)
	f.p("func Versions(set plugin.PluginSet) map[int]plugin.PluginSet { return contract.Versions(Version, set) }\n")
}

func kinds(c *model.Contract) (all []*model.Service) {
	for _, s := range c.Services {
		if s.Kind != "" {
			all = append(all, s)
		}
	}
	return all
}

func (f *file) implementations() {
	f.p("// Implementations are what a plugin serves. It need not have all of them.")
	f.p("type Implementations struct {")
	for _, s := range kinds(f.contract) {
		f.p("%s %s", s.Name, s.Name)
	}
	f.p("}\n")
	f.p("// ServeConfig says how a plugin serves its implementations, in either protocol: for")
	f.p("// plugin.Serve, for a listener of the program's own, or for a shared object.")
	f.p("func ServeConfig(i Implementations) *plugin.ServeConfig {")
	f.p("set := make(plugin.PluginSet)")
	for _, s := range kinds(f.contract) {
		f.p("if i.%s != nil {\nset[%sKind] = &%sPlugin{Impl: i.%s}\n}", s.Name, s.Name, s.Name, s.Name)
	}
	f.p("return &plugin.ServeConfig{HandshakeConfig: Handshake(), VersionedPlugins: Versions(set), GRPCServer: plugin.DefaultGRPCServer}\n}\n")
	f.p("// Serve runs a plugin: as a child of its host, or on the network. It returns when the")
	f.p("// plugin has ended, and is the last thing that main does.")
	f.p("func Serve(i Implementations) { plugin.Serve(ServeConfig(i)) }\n")
}

func (f *file) errors() {
	if len(f.contract.Errors) == 0 {
		f.p("// wireErrors are the errors that survive the way to the other side: this package declares none.")
	} else {
		f.p("// wireErrors are the errors that survive the way to the other side: errors.Is and errors.As")
		f.p("// find them there.")
	}
	constructor := "NewErrors"
	if f.contract.Proto != "" {
		constructor = "NewMessages"
	}
	f.p("var wireErrors = contract.%s(%q,", constructor, wirePackage(f.contract))
	for _, e := range f.contract.Errors {
		switch {
		case e.Type == nil:
			f.p("contract.Sentinel(%q, %s),", e.Name, e.Name)
		case e.Pointer:
			name := convName(e.Type)
			f.p("contract.ErrorType(")
			f.p("func(c *contract.Conv, e *%s) *%s.%s { return contract.Message(c, e, %sToWire) },", e.Name, f.pb(), e.Type.Message.Name, name)
			f.p("func(c *contract.Conv, m *%s.%s) *%s { return contract.Value(c, m, %sFromWire) }),", f.pb(), e.Type.Message.Name, e.Name, name)
		default:
			name := convName(e.Type)
			f.p("contract.ErrorType(%sToWire, %sFromWire),", name, name)
		}
	}
	f.p(")\n")
}

// conversions writes how a type becomes a message, and is read from one.
func (f *file) conversions(m *model.Message) {
	name, spelled := lower(m.Name), f.spell(m.Go)
	pb := f.pb() + "." + m.Name
	conv := "c"
	if !f.needsConv(m) && !m.Recursive {
		conv = "_"
	}
	var to, from strings.Builder
	for _, x := range m.Fields {
		value, field := "v."+x.Name, f.messages.field(m.Name, x.Wire)
		if m.Items {
			value = "v"
		}
		converted := f.to(x.Type, value)
		fmt.Fprintf(&to, "%s: %s,\n", field, converted)
		read := f.from(x.Type, f.get("m", m.Name, x))
		if m.Items {
			fmt.Fprintf(&from, "return %s\n", read)
		} else {
			fmt.Fprintf(&from, "%s: %s,\n", x.Name, read)
		}
	}
	guard, guardFrom := "", ""
	if m.Recursive {
		guard = "if !c.Enter() {\nreturn nil\n}\ndefer c.Leave()\n"
		guardFrom = "if !c.Enter() {\nreturn v\n}\ndefer c.Leave()\n"
	}
	value := "v"
	if len(m.Fields) == 0 {
		value = "_"
	}
	f.p("func %sToWire(%s *contract.Conv, %s %s) *%s {\n%sreturn &%s{\n%s}\n}\n", name, conv, value, spelled, pb, guard, pb, to.String())
	switch {
	case m.Items:
		f.p("func %sFromWire(%s *contract.Conv, m *%s) (v %s) {\n%s%s}\n", name, conv, pb, spelled, guardFrom, from.String())
	case len(m.Fields) == 0:
		f.p("func %sFromWire(*contract.Conv, *%s) %s { return %s{} }\n", name, pb, spelled, spelled)
	default:
		f.p("func %sFromWire(%s *contract.Conv, m *%s) (v %s) {\n%sreturn %s{\n%s}\n}\n", name, conv, pb, spelled, guardFrom, spelled, from.String())
	}
}

// needsConv reports whether a conversion of m uses its Conv.
func (f *file) needsConv(m *model.Message) bool {
	for _, x := range m.Fields {
		if containsConv(f.to(x.Type, "v") + f.from(x.Type, "m")) {
			return true
		}
	}
	return false
}

// array writes how an array becomes a list, and is read from one.
func (f *file) array(t *model.Type) {
	name, spelled := arrayName(t), f.spell(t.Go)
	if t.Elem.IsByte() && f.plainByte(t) {
		f.p("func %sToWire(_ *contract.Conv, v %s) []byte { return v[:] }\n", name, spelled)
		f.p("func %sFromWire(c *contract.Conv, list []byte) (v %s) {\ncontract.Fill(c, v[:], list, contract.Same[byte])\nreturn v\n}\n", name, spelled)
		return
	}
	elem := f.wireElem(t.Elem)
	f.p("func %sToWire(c *contract.Conv, v %s) []%s { return contract.List(c, v[:], %s) }\n", name, spelled, elem, f.toFunc(t.Elem))
	f.p("func %sFromWire(c *contract.Conv, list []%s) (v %s) {\ncontract.Fill(c, v[:], list, %s)\nreturn v\n}\n", name, elem, spelled, f.fromFunc(t.Elem))
}

func (f *file) plainByte(t *model.Type) bool {
	s := f.spell(t.Elem.Go)
	return s == "byte" || s == "uint8"
}

// wireElem writes the type of an element of a repeated field.
func (f *file) wireElem(t *model.Type) string {
	switch {
	case t.Message != nil:
		return "*" + f.pb() + "." + t.Message.Name
	case t.Shape == model.Pointer:
		return f.wireElem(t.Elem)
	case t.Shape == model.Array: // of bytes
		return "[]byte"
	case t.Shape == model.Time:
		return "*" + f.use("google.golang.org/protobuf/types/known/timestamppb", "timestamppb") + ".Timestamp"
	case t.Shape == model.Duration:
		return "*" + f.use("google.golang.org/protobuf/types/known/durationpb", "durationpb") + ".Duration"
	}
	return goScalar(t.Scalar)
}
