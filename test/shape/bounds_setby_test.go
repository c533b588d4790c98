// SPDX-License-Identifier: MPL-2.0

package shape

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestBoundsAreSetByWhatThePageSays holds the column "set by" of docs/bounds.md: each
// variable and option is there and has the bound as its default, and each variable
// that is a bound has a row.
func TestBoundsAreSetByWhatThePageSays(t *testing.T) {
	variables := defaultsOfVariables(t)
	options := findOptions(t)
	named := regexp.MustCompile("`([^`]+)`")
	for _, r := range boundRows(t) {
		for _, m := range named.FindAllStringSubmatch(r.setBy, -1) {
			var err error
			if setter := m[1]; strings.ToUpper(setter) == setter {
				err = variables.check(setter, r)
				delete(variables.unseen, setter)
			} else {
				err = options.check(setter, r)
			}
			if err != nil {
				t.Errorf("%s: %s: %v", r.what, m[1], err)
			}
		}
	}
	for name := range variables.unseen {
		t.Errorf("docs/bounds.md has no row that %s sets", name)
	}
}

// variables are those of the environment that are numbers or times.
type variables struct {
	values map[string]int64
	// constants has the constant that is the default, where there is one.
	constants map[string]string
	unseen    map[string]bool
}

func (v *variables) check(name string, r boundRow) error {
	value, ok := v.values[name]
	switch {
	case !ok:
		return fmt.Errorf("no number or time of the environment is called so")
	case value != r.value:
		return fmt.Errorf("its default is %d, and the row says %s, which is %d", value, r.bound, r.value)
	case v.constants[name] != "" && v.constants[name] != r.name:
		return fmt.Errorf("its default is %s, and the row names %s", v.constants[name], r.name)
	}
	return nil
}

// defaultsOfVariables reads the tags of the host's configuration, and what the fork sets in
// NetworkConfig where the variable is absent, which README.md must say as well.
func defaultsOfVariables(t *testing.T) *variables {
	t.Helper()
	v := &variables{values: make(map[string]int64), constants: make(map[string]string), unseen: make(map[string]bool)}
	for _, part := range []string{"hostConfig", "programConfig"} {
		for _, field := range fieldsOf(t, "host/cli/config.go", part) {
			if field.Tag == nil {
				continue
			}
			text, _ := strconv.Unquote(field.Tag.Value)
			tag := reflect.StructTag(text)
			name := tag.Get("envconfig")
			if name == "" { // MaxCalls of the program basic is BASIC_MAX_CALLS
				name = "BASIC" + strings.ToUpper(regexp.MustCompile(`([A-Z])`).ReplaceAllString(field.Names[0].Name, "_$1"))
			}
			if n, ok := number(tag.Get("default")); ok {
				v.values[name] = n
			}
		}
	}
	q, page := findQuantities(t), read(t, "docs/reference.md")
	source := read(t, "forks/go-plugin/network_config.go")
	for _, m := range regexp.MustCompile(`setDefault\(&c\.(\w+), ((?:d|D)efault\w+)\)`).FindAllStringSubmatch(source, -1) {
		name := ""
		for _, field := range fieldsOf(t, "forks/go-plugin/network_config.go", "NetworkConfig") {
			if field.Names[0].Name == m[1] {
				name = regexp.MustCompile(`PLUGIN_[A-Z_]+`).FindString(field.Doc.Text())
			}
		}
		var value int64
		for place, n := range q.values {
			if strings.HasPrefix(place, "forks/go-plugin/") && strings.Count(place, "/") == 2 && strings.HasSuffix(place, " "+m[2]) {
				value = n
			}
		}
		v.values[name], v.constants[name] = value, m[2]
		said := regexp.MustCompile("(?m)^\\| `" + name + "` \\| `([^`]+)` \\|").FindStringSubmatch(page)
		if said == nil {
			t.Errorf("docs/reference.md has no row with a default for %q, which is NetworkConfig.%s", name, m[1])
		} else if n, _ := number(said[1]); n != value {
			t.Errorf("docs/reference.md says that %s is %s by default, and the code that it is %d", name, said[1], value)
		}
	}
	for name := range v.values {
		v.unseen[name] = true
	}
	return v
}

// number reads a default as the environment has it.
func number(text string) (int64, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, true
	}
	d, err := time.ParseDuration(text)
	return int64(d), err == nil
}

// options are the fields of exported structs, and exported functions, by package.
type options struct {
	docs      map[string]string // of the comment that covers "package.Type.Field"
	functions map[string]bool   // "package.Func"
}

// check holds that an option is there, and that its comment or DefaultOptions has the
// bound.
func (o *options) check(name string, r boundRow) error {
	if o.functions[name] {
		return nil
	}
	for full := range o.docs {
		if strings.Count(name, ".") == 1 && strings.HasSuffix(full, "."+name) {
			name = full
		}
	}
	doc, ok := o.docs[name]
	if !ok {
		return fmt.Errorf("there is no such option")
	}
	field := name[strings.LastIndex(name, ".")+1:]
	if r.name == field && strings.Contains(r.file, strings.Split(name, ".")[0]) {
		return nil // the row names the default itself
	}
	if !strings.Contains(doc, r.bound) && !strings.Contains(doc, "["+r.name+"]") {
		return fmt.Errorf("its comment says neither %q nor [%s]: %s", r.bound, r.name, doc)
	}
	return nil
}

func findOptions(t *testing.T) *options {
	t.Helper()
	o := &options{docs: make(map[string]string), functions: make(map[string]bool)}
	for _, pattern := range []string{"host/*/*.go", "host/*/*/*.go", "forks/go-plugin/*.go"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			o.addFile(f)
		}
	}
	return o
}

func (o *options) addFile(f *ast.File) {
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			o.functions[f.Name.Name+"."+n.Name.Name] = n.Recv == nil || o.functions[f.Name.Name+"."+n.Name.Name]
		case *ast.TypeSpec:
			structure, ok := n.Type.(*ast.StructType)
			if !ok {
				return true
			}
			doc := "" // of the field above, if this one has none
			for _, field := range structure.Fields.List {
				if field.Doc != nil {
					doc = strings.Join(strings.Fields(field.Doc.Text()), " ")
				}
				for _, name := range field.Names {
					o.docs[f.Name.Name+"."+n.Name.Name+"."+name.Name] = doc
				}
			}
		}
		return true
	})
}

// fieldsOf gives the fields of a struct type.
func fieldsOf(t *testing.T, file, name string) []*ast.Field {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var fields []*ast.Field
	ast.Inspect(f, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.Name == name {
			if structure, ok := spec.Type.(*ast.StructType); ok {
				fields = structure.Fields.List
			}
		}
		return true
	})
	if len(fields) == 0 {
		t.Fatalf("%s has no struct %s", file, name)
	}
	return fields
}
