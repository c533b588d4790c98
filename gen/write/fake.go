// SPDX-License-Identifier: MPL-2.0

package write

import (
	"fmt"
	"strings"

	"github.com/reattach/reattach/gen/model"
)

// fakeFile writes implementations for tests, each method of which is a field.
func fakeFile(c *model.Contract, m *messages) ([]byte, error) {
	f := newFile(c, m, testName(c), c.Path+"/"+testName(c))
	f.context()
	f.use("errors", "errors")
	for _, s := range c.Services {
		f.p("// %s is %s for tests: each method calls the field of its name.", s.Name, article(f.contract.Name+"."+s.Name))
		f.p("type %s struct {", s.Name)
		for _, m := range s.Methods {
			f.p("%sFunc func%s", m.Name, f.signature(m))
		}
		f.p("}\n\nvar _ %s = (*%s)(nil)\n", f.use(c.Path, c.Name)+"."+s.Name, s.Name)
		for _, m := range s.Methods {
			f.fakeMethod(s, m)
		}
	}
	return f.bytes()
}

func (f *file) fakeMethod(s *model.Service, m *model.Method) {
	f.p("// %s calls %sFunc.", m.Name, m.Name)
	f.p("func (f *%s) %s%s {", s.Name, m.Name, f.signature(m))
	call := fmt.Sprintf("f.%sFunc(%s)", m.Name, f.arguments(m))
	unset := fmt.Sprintf("errors.New(%q)", testName(f.contract)+": "+s.Name+"."+m.Name+"Func is not set")
	switch out := stream(m.Results); {
	case m.Err:
		f.p("if f.%sFunc == nil {\nreturn %s\n}", m.Name, f.results(m, unset))
	case out != nil: // the stream has the error
		f.runtime()
		f.p("if f.%sFunc == nil {\nreturn contract.Lazy(func() (%s, error) { return nil, %s })\n}", m.Name, f.spell(out.Type.Go), unset)
	}
	if len(m.Results) > 0 || m.Err {
		call = "return " + call
	}
	f.p("%s\n}\n", call)
}

// testFile writes the test that tries each kind over both protocols.
func testFile(c *model.Contract, m *messages) ([]byte, error) {
	f := newFile(c, m, c.Name+"_test", c.Path+"_test")
	f.use("testing", "testing")
	f.use("github.com/hashicorp/go-plugin/contract/contracttest", "contracttest")
	own, test := f.use(c.Path, c.Name), f.use(c.Path+"/"+testName(c), testName(c))
	var callbacks, sentinels, errorTypes []string
	for _, s := range c.Services {
		if s.Kind == "" {
			callbacks = append(callbacks, "new("+test+"."+s.Name+")")
		}
	}
	for _, e := range c.Errors {
		switch {
		case e.Type == nil:
			sentinels = append(sentinels, own+"."+e.Name)
		case e.Pointer:
			errorTypes = append(errorTypes, "new("+own+"."+e.Name+")")
		default:
			errorTypes = append(errorTypes, "*new("+own+"."+e.Name+")")
		}
	}
	for _, s := range kinds(c) {
		f.p("// Test%sOverBothProtocols holds that values and errors arrive as they were sent.", s.Name)
		f.p("func Test%sOverBothProtocols(t *testing.T) {\nfake := new(%s.%s)", s.Name, test, s.Name)
		f.p("contracttest.Run(t, contracttest.Subject[%s.%s]{", own, s.Name)
		f.p("Kind: %s.%sKind, Plugin: &%s.%sPlugin{}, Fake: fake,", own, s.Name, own, s.Name)
		f.p("Serve: %s.ServeConfig(%s.Implementations{%s: fake}),", own, own, s.Name)
		for _, list := range []struct {
			name, sort string
			values     []string
		}{{"Callbacks", "any", callbacks}, {"Sentinels", "error", sentinels}, {"ErrorTypes", "error", errorTypes}} {
			if len(list.values) > 0 {
				f.p("%s: []%s{%s},", list.name, list.sort, strings.Join(list.values, ", "))
			}
		}
		f.p("})\n}\n")
	}
	return f.bytes()
}
