// SPDX-License-Identifier: MPL-2.0

package write

import (
	"fmt"
	"go/format"
	"go/types"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/reattach/reattach/gen/model"
)

// file is a Go file that is being written.
type file struct {
	contract *model.Contract
	messages *messages
	pkg      string // its name
	path     string // its import path
	imports  map[string]string
	body     strings.Builder
}

func newFile(c *model.Contract, m *messages, name, path string) *file {
	return &file{contract: c, messages: m, pkg: name, path: path, imports: make(map[string]string)}
}

func (f *file) p(format string, args ...any) { fmt.Fprintf(&f.body, format+"\n", args...) }

// use notes an import and returns its name: another one if two packages have the same.
func (f *file) use(path, name string) string {
	if known, ok := f.imports[path]; ok {
		return known
	}
	free := name
	for i := 2; slices.Contains(slices.Collect(maps.Values(f.imports)), free); i++ {
		free = fmt.Sprint(name, i)
	}
	f.imports[path] = free
	return free
}

// spell writes a type, and notes what it needs.
func (f *file) spell(t types.Type) string {
	return types.TypeString(t, func(p *types.Package) string {
		if p.Path() == f.path {
			return ""
		}
		return f.use(p.Path(), p.Name())
	})
}

// runtime and its like are the packages that glue needs.
func (f *file) runtime() { f.use("github.com/hashicorp/go-plugin/contract", "contract") }
func (f *file) context() { f.use("context", "context") }
func (f *file) pb() string {
	return f.use(pbPath(f.contract), pbName(f.contract))
}

// bytes gives the file, formatted.
func (f *file) bytes() ([]byte, error) {
	var b strings.Builder
	b.WriteString(heading(f.contract, "//"))
	fmt.Fprintf(&b, "\n%s\n", f.clause())
	body := f.body.String()
	b.WriteString(f.importBlock(body))
	b.WriteString(body)
	source, err := format.Source([]byte(b.String()))
	if err != nil {
		return nil, fmt.Errorf("format package %s: %w\n%s", f.pkg, err, b.String())
	}
	return source, nil
}

func (f *file) clause() string { return "package " + f.pkg }

// importBlock names what the body uses, in three groups: Go's own, others, the contract's.
func (f *file) importBlock(body string) string {
	groups := make([][]string, 3)
	for _, path := range slices.Sorted(maps.Keys(f.imports)) {
		name := f.imports[path]
		if !uses(body, name) {
			continue
		}
		group := 1
		switch first, _, _ := strings.Cut(path, "/"); {
		case path == f.contract.Path || strings.HasPrefix(path, f.contract.Path+"/"):
			group = 2
		case !strings.Contains(first, "."):
			group = 0
		}
		line := fmt.Sprintf("%q", path)
		if last := path[strings.LastIndex(path, "/")+1:]; last != name && last != "go-"+name {
			line = name + " " + line
		}
		groups[group] = append(groups[group], line)
	}
	var b strings.Builder
	for _, lines := range groups {
		if len(lines) > 0 {
			b.WriteString("\n" + strings.Join(lines, "\n") + "\n")
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "import (" + b.String() + ")\n\n"
}

// uses reports whether a source names something of an imported package.
func uses(source, name string) bool {
	return regexp.MustCompile(`(^|[^A-Za-z0-9_."])` + name + `\.[A-Z]`).MatchString(source)
}

func formatted(source string) ([]byte, error) { return format.Source([]byte(source)) }
