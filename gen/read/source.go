// SPDX-License-Identifier: MPL-2.0

// Package read finds a contract in the source of a Go package, or in a .proto file. What
// cannot travel is refused, with its file and line.
package read

import (
	"context"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/tools/go/packages"

	"github.com/reattach/reattach/gen/model"
)

type reader struct {
	pkg      *packages.Package
	contract *model.Contract
	docs     map[token.Pos]string
	// comments are those before a declaration or a method, and behind it, by the position
	// of its name.
	comments map[token.Pos][]*ast.CommentGroup
	messages map[string]*model.Message
	refused  map[string]error
	refusals Refusals
	// pending are interfaces that a method takes, and that are to be read yet; callbacks are
	// the types of the parameters.
	pending   []*types.Named
	callbacks []*model.Type
	called    map[string]*model.Service
}

// Package reads the contract in the Go package in dir: the interfaces of those names, or
// else those that a comment marks with //reattach:kind, or else all that are exported and no
// parameter of another one. Its error is a [Refusals] if something cannot travel.
func Package(ctx context.Context, dir string, names ...string) (*model.Contract, error) {
	pkg, err := load(ctx, dir)
	if err != nil {
		return nil, err
	}
	r := &reader{
		pkg: pkg, docs: make(map[token.Pos]string), comments: make(map[token.Pos][]*ast.CommentGroup),
		messages: make(map[string]*model.Message), refused: make(map[string]error), called: make(map[string]*model.Service),
		contract: &model.Contract{Name: pkg.Name, Path: pkg.PkgPath, Dir: dir, Version: 1},
	}
	r.readComments()
	if err := r.packageWords(); err != nil {
		return nil, err
	}
	chosen, err := r.choose(names)
	if err != nil {
		return nil, err
	}
	for _, named := range chosen {
		r.service(named, r.kindOf(named))
	}
	for len(r.pending) > 0 {
		named := r.pending[0]
		r.pending = r.pending[1:]
		r.service(named, "")
	}
	for _, t := range r.callbacks {
		t.Service = r.called[types.Unalias(t.Go).(*types.Named).Obj().Name()]
	}
	r.errors()
	r.free()
	r.unique()
	if err := r.refusals.err(); err != nil {
		return nil, err
	}
	markRecursive(r.contract.Messages)
	return r.contract, nil
}

// load reads the package as if the generator's files were not there: they may be of an
// earlier contract.
func load(ctx context.Context, dir string) (*packages.Package, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	overlay := make(map[string][]byte)
	written, err := filepath.Glob(filepath.Join(dir, "*"+model.Suffix))
	if err != nil {
		return nil, err
	}
	for _, path := range written {
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly)
		if err != nil {
			return nil, fmt.Errorf("%w: delete this file, it will be written anew", err)
		}
		overlay[path] = fmt.Appendf(nil, "package %s\n", f.Name.Name)
	}
	config := &packages.Config{
		Context: ctx, Dir: dir, Overlay: overlay,
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedSyntax | packages.NeedTypes | packages.NeedTypesInfo | packages.NeedImports | packages.NeedModule,
	}
	found, err := packages.Load(config, ".")
	if err != nil {
		return nil, fmt.Errorf("read the package in %s: %w", dir, err)
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("there are %d packages in %s, want one", len(found), dir)
	}
	pkg := found[0]
	for _, e := range pkg.Errors {
		// A name that only the generated files declare is no error here, neither of the type
		// checker nor of the compiler, which begins with the package.
		if e.Kind != packages.TypeError && !strings.HasPrefix(e.Msg, "# ") {
			return nil, fmt.Errorf("read the package in %s: %w", dir, e)
		}
	}
	if pkg.Types == nil || len(pkg.Syntax) == 0 {
		return nil, fmt.Errorf("there is no Go package in %s", dir)
	}
	return pkg, nil
}

// readComments notes the comments of declarations, methods and fields.
func (r *reader) readComments() {
	note := func(name *ast.Ident, groups ...*ast.CommentGroup) {
		r.comments[name.Pos()] = groups
		for _, g := range groups {
			if text := strings.TrimSpace(g.Text()); text != "" && r.docs[name.Pos()] == "" {
				r.docs[name.Pos()] = text
			}
		}
	}
	for _, file := range r.pkg.Syntax {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GenDecl:
				for _, spec := range n.Specs {
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						note(spec.Name, spec.Doc, n.Doc, spec.Comment)
					case *ast.ValueSpec:
						for _, name := range spec.Names {
							note(name, spec.Doc, n.Doc, spec.Comment)
						}
					}
				}
			case *ast.Field:
				for _, name := range n.Names {
					note(name, n.Doc, n.Comment)
				}
			}
			return true
		})
	}
}

func (r *reader) at(pos token.Pos) token.Position {
	p := r.pkg.Fset.Position(pos)
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, p.Filename); err == nil && !strings.HasPrefix(rel, "..") {
			p.Filename = rel
		}
	}
	return p
}

// packageWords reads the directives of the package's comment.
func (r *reader) packageWords() error {
	c := r.contract
	c.Wire = c.Name
	c.CookieKey, c.CookieValue = strings.ToUpper(c.Name)+"_PLUGIN", c.Name
	for _, file := range r.pkg.Syntax {
		if c.Doc == "" {
			c.Doc = new(doc.Package).Synopsis(file.Doc.Text())
		}
		if c.Licence == "" {
			c.Licence = licence(file)
		}
		for _, w := range directives(file.Doc) {
			where := r.at(file.Package)
			switch w.name {
			case "version":
				if _, err := fmt.Sscanf(w.value, "%d", &c.Version); err != nil || c.Version < 1 {
					return Refusals{{Pos: where, Reason: "version=" + w.value + " is not a number from 1 on"}}
				}
			case "name":
				if !wireName.MatchString(w.value) {
					return Refusals{{Pos: where, Reason: "name=" + w.value + " is not a name such as acme.calc"}}
				}
				c.Wire = w.value
			case "cookie":
				key, value, ok := strings.Cut(w.value, ":")
				if !ok || key == "" || value == "" {
					return Refusals{{Pos: where, Reason: "cookie=" + w.value + " is not of the form cookie=KEY:value"}}
				}
				c.CookieKey, c.CookieValue = key, value
			default:
				return Refusals{{Pos: where, Reason: prefix + w.name + " is not known here: a package has version=2, name=acme.calc and cookie=KEY:value"}}
			}
		}
	}
	return nil
}

var wireName = regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$`)

// licence gives what a file says of its licence.
func licence(file *ast.File) string {
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if name, ok := strings.CutPrefix(comment.Text, "// SPDX-License-Identifier: "); ok {
				return strings.TrimSpace(name)
			}
		}
	}
	return ""
}

// generated are names that are written into every contract's package.
var generated = []string{"Version", "Handshake", "Versions", "Implementations", "ServeConfig", "Serve", "wireErrors"}

// free holds that the package declares nothing that is written into it.
func (r *reader) free() {
	names := slices.Clone(generated)
	for _, s := range r.contract.Services {
		if s.Kind != "" {
			names = append(names, s.Name+"Kind", s.Name+"Plugin")
		}
	}
	for _, name := range names {
		if obj := r.pkg.Types.Scope().Lookup(name); obj != nil {
			r.refusals.add(r.at(obj.Pos()), "%s is what a generated file declares in this package: choose another name", name)
		}
	}
}

// unique holds that no two messages have the same name.
func (r *reader) unique() {
	seen := make(map[string]string)
	for _, s := range r.contract.Services {
		for _, m := range s.Methods {
			seen[s.Name+m.Name+"Request"], seen[s.Name+m.Name+"Response"] = m.Name, m.Name
		}
	}
	for _, m := range r.contract.Messages {
		if other := seen[m.Name]; other != "" {
			r.refusals.add(token.Position{Filename: r.contract.Dir}, "%s and %s would both be message %s: rename one", other, r.spell(m.Go), m.Name)
		}
		seen[m.Name] = r.spell(m.Go)
	}
}

// markRecursive finds the messages that may contain themselves.
func markRecursive(messages []*model.Message) {
	for _, m := range messages {
		seen := make(map[*model.Message]bool)
		m.Recursive = reaches(m, m, seen)
	}
}

func reaches(from, to *model.Message, seen map[*model.Message]bool) bool {
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, f := range from.Fields {
		for t := f.Type; t != nil; t = t.Elem {
			if t.Message == to || t.Message != nil && reaches(t.Message, to, seen) {
				return true
			}
		}
	}
	return false
}
