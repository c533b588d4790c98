// SPDX-License-Identifier: MPL-2.0

package read

import (
	"context"
	"fmt"
	"go/token"
	"go/types"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/reattach/reattach/gen/compile"
	"github.com/reattach/reattach/gen/model"
)

// Proto reads the contract in a .proto file: each service becomes an interface, whose
// methods take and give the messages themselves. dir is the directory of the Go package that
// is to carry it, and of the file.
func Proto(ctx context.Context, dir, file string) (*model.Contract, error) {
	source, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return nil, err
	}
	pkgPath, err := importPath(ctx, dir)
	if err != nil {
		return nil, err
	}
	return protoContract(ctx, &model.Contract{Path: pkgPath, Dir: dir, Version: 1, Proto: file, ProtoSource: string(source)})
}

// protoContract reads the source that a contract has.
func protoContract(ctx context.Context, c *model.Contract) (*model.Contract, error) {
	file := c.Proto
	compiled, err := compile.File(ctx, file, c.ProtoSource)
	if err != nil {
		return nil, err
	}
	c.ProtoPackage = string(compiled.Package())
	if c.Name, c.Wire, c.Version = nameOf(c.ProtoPackage); c.Name == "" {
		return nil, Refusals{{Pos: token.Position{Filename: file, Line: 1}, Reason: "it needs a package, such as acme.store.v1"}}
	}
	c.CookieKey, c.CookieValue = strings.ToUpper(c.Name)+"_PLUGIN", c.Name
	p := &protoReader{contract: c, file: file, messages: make(map[protoreflect.FullName]*model.Message)}
	p.pkg = types.NewPackage(c.Path+"/"+c.Name+"pb", c.Name+"pb")
	for i := range compiled.Messages().Len() {
		p.message(compiled.Messages().Get(i))
	}
	for i := range compiled.Services().Len() {
		p.service(compiled.Services().Get(i))
	}
	p.free()
	if len(c.Services) == 0 {
		p.refusals.add(token.Position{Filename: file, Line: 1}, "it has no service")
	}
	return c, p.refusals.err()
}

// protoReader has what protoContract has read so far.
type protoReader struct {
	contract *model.Contract
	file     string
	pkg      *types.Package // of the messages
	messages map[protoreflect.FullName]*model.Message
	refusals Refusals
}

func (p *protoReader) at(d protoreflect.Descriptor) token.Position {
	loc := d.ParentFile().SourceLocations().ByDescriptor(d)
	return token.Position{Filename: filepath.Join(p.contract.Dir, p.file), Line: loc.StartLine + 1, Column: loc.StartColumn + 1}
}

// free holds that services and methods are names that Go exports, and that no service is
// called as something else that is written into the package.
func (p *protoReader) free() {
	declared := make(map[string]string)
	for _, name := range generated {
		declared[name] = "a generated file"
	}
	for _, s := range p.contract.Services {
		declared[s.Name+"Kind"], declared[s.Name+"Plugin"] = "what carries service "+s.Name, "what carries service "+s.Name
	}
	for _, s := range p.contract.Services {
		if by := declared[s.Name]; by != "" {
			p.refusals.add(s.Pos, "service %s: %s declares this name in the package: choose another one", s.Name, by)
		}
		if !token.IsExported(s.Name) {
			p.refusals.add(s.Pos, "service %s becomes an interface of Go: its name has to begin with a capital", s.Name)
		}
		for _, m := range s.Methods {
			if !token.IsExported(m.Name) {
				p.refusals.add(m.Pos, "method %s becomes one of an interface of Go: its name has to begin with a capital", m.Name)
			}
		}
	}
}

// importPath gives the import path of a directory, which need not have Go files yet.
func importPath(ctx context.Context, dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}}\t{{.Dir}}")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s is in no Go module: %w", dir, err)
	}
	for line := range strings.Lines(string(out)) { // several in a workspace
		module, root, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if rel, err := filepath.Rel(root, dir); err == nil && filepath.IsLocal(rel) {
			return path.Join(module, filepath.ToSlash(rel)), nil
		}
	}
	return "", fmt.Errorf("%s is in no Go module", dir)
}

var versioned = regexp.MustCompile(`^((?:.*\.)?([a-z][a-z0-9_]*))\.v([0-9]+)$`)

// nameOf gives the Go name, the name without the version, and the version of a package of
// protocol buffers.
func nameOf(pkg string) (name, wire string, version int) {
	if m := versioned.FindStringSubmatch(pkg); m != nil {
		version, _ = strconv.Atoi(m[3])
		return strings.ReplaceAll(m[2], "_", ""), m[1], max(version, 1)
	}
	return strings.ReplaceAll(pkg[strings.LastIndex(pkg, ".")+1:], "_", ""), pkg, 1
}
