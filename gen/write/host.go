// SPDX-License-Identifier: MPL-2.0

package write

import (
	"fmt"
	"go/types"
	"slices"
	"strings"
	"time"

	"github.com/reattach/reattach/gen/model"
)

// hostFile writes the kinds of a host. It is a package of its own: a plugin must not link
// the host's library.
func hostFile(c *model.Contract, m *messages) ([]byte, error) {
	f := newFile(c, m, hostName(c), c.Path+"/"+hostName(c))
	f.use("github.com/reattach/reattach/host/daemon", "daemon")
	f.use("github.com/reattach/reattach/host/stub", "stub")
	f.use("github.com/reattach/reattach/host/cli", "cli")
	f.use("time", "time")
	f.context()
	own := f.use(c.Path, c.Name) // another name if one of those above has it
	f.p("// Options gives a command line of that name over the contract's kinds, for cli.Main.")
	f.p("func Options(name string) cli.Options {")
	f.p("return cli.Options{Name: name, Handshake: %s.Handshake(), Versions: %s.Versions, Kinds: Kinds()}\n}\n", own, own)
	f.p("// Configure lets a daemon speak the contract: it sets Handshake, Versions and Kinds.")
	f.p("func Configure(o *daemon.Options) {")
	f.p("o.Handshake, o.Versions, o.Kinds = %s.Handshake(), %s.Versions, Kinds()\n}\n", own, own)
	f.p("// Kinds are the interfaces of the contract, as a daemon knows them.")
	f.p("func Kinds() []daemon.Kind {\nreturn []daemon.Kind{")
	for _, s := range kinds(c) {
		f.p("daemon.NewKind[%s.%s](%s.%sKind, &%s.%sPlugin{},", own, s.Name, own, s.Name, own, s.Name)
		for _, m := range s.Methods {
			f.kindOptions(s, m)
		}
		f.p("daemon.WithSwitch(switch%s)),", s.Name)
	}
	f.p("}\n}\n")
	for _, s := range kinds(c) {
		f.switchOf(s)
	}
	return f.bytes()
}

// kindOptions writes what a host is told of a method.
func (f *file) kindOptions(s *model.Service, m *model.Method) {
	var options []string
	if m.Idempotent {
		options = append(options, "Idempotent: true")
	}
	if m.Timeout > 0 {
		options = append(options, "Timeout: "+spellDuration(m.Timeout))
	}
	if m.Repeats != nil {
		n := fmt.Sprint(*m.Repeats)
		if *m.Repeats == 0 {
			n = "stub.NoRepeats"
		}
		options = append(options, "Repeats: "+n)
	}
	if stream(m.Params) != nil || stream(m.Results) != nil {
		options = append(options, "Stream: true")
	}
	if len(options) > 0 {
		f.p("daemon.WithMethod(%q, stub.CallOptions{%s}),", m.Name, strings.Join(options, ", "))
	}
	if len(m.Params) > 0 {
		names := make([]string, len(m.Params))
		for i, p := range m.Params {
			names[i] = fmt.Sprintf("%q", p.Name)
		}
		f.p("daemon.WithParams(%q, %s),", m.Name, strings.Join(names, ", "))
	}
	if m.Request != nil && (stream(m.Params) != nil || stream(m.Results) != nil) {
		f.p("daemon.WithWire(\"netrpc\", %q, \"*contract.Opening\", \"struct {}\"),", m.Name)
	} else {
		f.p("daemon.WithWire(\"netrpc\", %q, %q, %q),", m.Name, "*"+f.reflected(m.Request, requestName(s, m)), f.reflected(m.Answer, answerName(s, m)))
	}
	f.p("daemon.WithWire(\"grpc\", %q, %q, %q),", m.Name,
		streamed(stream(m.Params))+f.wireName(m.Request, requestName(s, m)), streamed(stream(m.Results))+f.wireName(m.Answer, answerName(s, m)))
}

// reflected is how a plugin spells the type of a request or an answer, which is a message
// that was there already, or else the one of that name.
func (f *file) reflected(m *model.Message, name string) string {
	if m == nil || isOwn(f.contract, m) {
		return pbName(f.contract) + "." + name
	}
	named := m.Go.(*types.Named).Obj()
	return "contract.Known[" + named.Pkg().Path() + "." + named.Name() + "]"
}

// wireName is the full name of a message.
func (f *file) wireName(m *model.Message, name string) string {
	if m == nil {
		return wirePackage(f.contract) + "." + name
	}
	return m.Foreign
}

// streamed begins the name of a message that a stream is made of, as .proto files write it
// and as plugins describe their methods.
func streamed(s *model.Field) string {
	if s == nil {
		return ""
	}
	return "stream "
}

// spellDuration writes a time as Go source.
func spellDuration(d time.Duration) string {
	for _, unit := range []struct {
		d    time.Duration
		name string
	}{{time.Hour, "Hour"}, {time.Minute, "Minute"}, {time.Second, "Second"}, {time.Millisecond, "Millisecond"}, {time.Microsecond, "Microsecond"}} {
		if d%unit.d == 0 {
			return fmt.Sprintf("%d*time.%s", d/unit.d, unit.name)
		}
	}
	return fmt.Sprintf("%d*time.Nanosecond", d)
}

// switchOf writes the value that asks for each call which stub to use.
func (f *file) switchOf(s *model.Service) {
	name, spelled := lower(s.Name)+"Switch", f.use(f.contract.Path, f.contract.Name)+"."+s.Name
	f.p("// switch%s gives %s that asks pick, for each call, which one to use: the instances of", s.Name, article(s.Name))
	f.p("// a plugin may speak different protocols.")
	f.p("func switch%s(pick func() %s) %s { return &%s{pick} }\n", s.Name, spelled, spelled, name)
	f.p("type %s struct{ pick func() %s }\n", name, spelled)
	if slices.ContainsFunc(s.Methods, func(m *model.Method) bool { return !m.Context }) {
		f.p("// WithContext gives %s whose methods without a context are called with ctx.", article(s.Name))
		f.p("func (pickStub *%s) WithContext(ctx context.Context) any {", name)
		f.p("return &%s{func() %s {\nreturn daemon.BindContext(ctx, pickStub.pick())\n}}\n}\n", name, spelled)
	}
	for _, m := range s.Methods {
		call := fmt.Sprintf("pickStub.pick().%s(%s)", m.Name, f.arguments(m))
		if len(m.Results) > 0 || m.Err {
			call = "return " + call
		}
		f.p("func (pickStub *%s) %s%s {\n%s\n}\n", name, m.Name, f.signature(m), call)
	}
}
