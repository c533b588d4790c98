// SPDX-License-Identifier: MPL-2.0

package shape

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const forkModule = "github.com/hashicorp/go-plugin"

// forkLayers are the packages of the fork, lowest first. A package may import packages
// of lower layers and those beneath its own directory. The public package stands above
// all engines.
var forkLayers = [][]string{
	{"internal/wait"},
	{"forward", "printable", "runner", "tlsfile", "internal/calls", "internal/env", "internal/h2frames", "internal/idleread", "internal/logging", "internal/longproto",
		"internal/pluginpb", "internal/rendezvous", "internal/reopen", "internal/stdio", "internal/testkit", "internal/yamuxframe"},
	{"internal/cmdrunner", "internal/hello", "internal/listen", "internal/multiplex", "internal/panics", "internal/peererr"},
	{"internal/mux", "internal/sniff"},
	{"internal/grpcmux"},
	{"internal/admission", "internal/child", "internal/dial", "internal/grpcconn", "internal/netrpc"},
	{"internal/broker", "internal/relay"},
	{"internal/grpcserve"},
	{"."},
	{"contract"}, // what generated glue needs
	{"contract/contracttest"},
}

func forkLayerOf(path string) int {
	return slices.IndexFunc(forkLayers, func(layer []string) bool { return slices.Contains(layer, path) })
}

// TestForkLayers holds that the engines stand beneath what users see, and never the
// other way round.
func TestForkLayers(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = filepath.Join(root, "forks/go-plugin")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	inFork := func(path string) (string, bool) {
		if path == forkModule {
			return ".", true
		}
		return strings.CutPrefix(path, forkModule+"/")
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		from, _ := inFork(p.ImportPath)
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, "go.opentelemetry.io/") {
				t.Errorf("%s imports %s: whoever wants traces gives ServeConfig.Around", from, imported)
			}
			to, ok := inFork(imported)
			if !ok || strings.HasPrefix(from, to+"/") {
				continue
			}
			if i := strings.Index(from, "/stdio/"); i >= 0 && forkLayerOf(to) <= 1 {
				continue // grpcstdio, beneath the directory of internal/stdio
			}
			above, below := forkLayerOf(from), forkLayerOf(to)
			if strings.HasPrefix(to, "internal/stdio/") {
				below = 1
			}
			if above < 0 || below < 0 {
				t.Errorf("%s imports %s: one of them has no place in forkLayers", from, to)
			} else if below >= above {
				t.Errorf("%s imports %s, which stands on the same layer or above", from, to)
			}
		}
	}
}

// TestForkRootRunsOneWay holds that no two files of the fork's public package need each
// other: each can be read after those that it uses.
func TestForkRootRunsOneWay(t *testing.T) {
	uses := usesOfFiles(t, filepath.Join(root, "forks/go-plugin"))
	for _, circle := range circles(uses) {
		for _, from := range circle {
			for _, to := range circle {
				if names := uses[from][to]; len(names) > 0 {
					t.Errorf("%s needs %s (%s), and the other way round", from, to, strings.Join(slices.Sorted(maps.Keys(names)), ", "))
				}
			}
		}
	}
}

// usesOfFiles returns which functions, methods, types, constants and variables a file of
// the package uses that another one declares: by file, by the other file, by name.
func usesOfFiles(t *testing.T, dir string) map[string]map[string]map[string]bool {
	t.Helper()
	set := token.NewFileSet()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	info := &types.Info{Uses: make(map[*ast.Ident]types.Object)}
	// What is imported does not matter here, so nothing is: the errors say so.
	config := types.Config{Importer: nothing{}, Error: func(error) {}}
	pkg, _ := config.Check(forkModule, set, files, info)
	file := func(p token.Pos) string { return filepath.Base(set.Position(p).Filename) }

	uses := make(map[string]map[string]map[string]bool)
	for _, f := range files {
		uses[file(f.Pos())] = make(map[string]map[string]bool)
	}
	for ident, object := range info.Uses {
		_, isFunc := object.(*types.Func)
		if object.Pkg() != pkg || object.Parent() != pkg.Scope() && !isFunc {
			continue
		}
		from, to := file(ident.Pos()), file(object.Pos())
		if from == to {
			continue
		}
		if uses[from][to] == nil {
			uses[from][to] = make(map[string]bool)
		}
		uses[from][to][object.Name()] = true
	}
	return uses
}

// nothing is an importer of empty packages.
type nothing struct{}

func (nothing) Import(path string) (*types.Package, error) {
	pkg := types.NewPackage(path, path[strings.LastIndex(path, "/")+1:])
	pkg.MarkComplete()
	return pkg, nil
}

// circles returns the sets of nodes that reach each other.
func circles[T any](edges map[string]map[string]T) [][]string {
	reach := make(map[string]map[string]bool)
	for from := range edges {
		reach[from] = make(map[string]bool)
		for next := []string{from}; len(next) > 0; {
			at := next[0]
			next = next[1:]
			for to := range edges[at] {
				if !reach[from][to] {
					reach[from][to] = true
					next = append(next, to)
				}
			}
		}
	}
	var all [][]string
	for _, from := range slices.Sorted(maps.Keys(edges)) {
		if !reach[from][from] || slices.ContainsFunc(all, func(c []string) bool { return slices.Contains(c, from) }) {
			continue
		}
		var circle []string
		for to := range reach[from] {
			if reach[to][from] {
				circle = append(circle, to)
			}
		}
		slices.Sort(circle)
		all = append(all, circle)
	}
	return all
}
