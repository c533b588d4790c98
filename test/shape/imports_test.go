// SPDX-License-Identifier: MPL-2.0

// Package shape tests the repository itself: which package may import which, what
// the README tells people to run, and that every file says its licence.
package shape

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/reattach/reattach"

// layers are the directories of host/, lowest first. A package may import packages
// of lower layers and of its own directory, and nothing else of host/.
var layers = [][]string{
	{"target", "balancer", "history", "page", "messages"},
	{"discovery", "conn", "services"},
	{"attach", "fleet", "stub", "conform"},
	{"tracing"},
	{"daemon", "shim"},
	{"doctor", "dynamic"},
	{"api"},
	{"cli"},
	{"."}, // host itself, the program
}

// leaves are dependencies too heavy for everybody: which packages may import them,
// and which may link them without importing them.
var leaves = map[string]struct{ importers, linkers []string }{
	"k8s.io/": {
		importers: []string{"host/discovery/kubernetes", "host/doctor/kubernetes"},
		linkers:   []string{"host/discovery/kubernetes", "host/doctor/kubernetes", "host/cli/kube", "host"},
	},
	"go.opentelemetry.io/": {
		importers: []string{"host/tracing", "tracing"},
		linkers:   []string{"host/tracing", "tracing", "host", "plugin", "pluginzh"},
	},
	// They come with client-go's tools/record.
	"github.com/go-openapi/": {
		linkers: []string{"host/discovery/kubernetes", "host/doctor/kubernetes", "host/cli/kube", "host"},
	},
}

// forbidden are imports that no layer explains: what must not import what.
var forbidden = []struct{ from, to, reason string }{
	{"commons", module + "/host", "plugins link the contracts, and must not link the host"},
	{"plugin", module + "/host", "a plugin does not need the host"},
	{"tracing", module + "/host", "plugins link it, and must not link the host"},
	{"pluginzh", module + "/host", "a plugin does not need the host"},
	{"host/target", "github.com/", "the shared nouns need the standard library only"},
	{"host/history", "github.com/", "what counts each call needs the standard library only"},
	{"host/balancer", "github.com/", "whatever routes calls needs the standard library only"},
}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// dir gives the package's directory in the repository.
func (p listed) dir() string { return strings.TrimPrefix(p.ImportPath, module+"/") }

func listPackages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Dir = root
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	var packages []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// layerOf gives the layer and the directory under host/ of a package, and -1 for
// one that no layer has.
func layerOf(path string) (int, string) {
	name := "."
	if rest, ok := strings.CutPrefix(path, module+"/host/"); ok {
		name, _, _ = strings.Cut(rest, "/")
	}
	return slices.IndexFunc(layers, func(l []string) bool { return slices.Contains(l, name) }), name
}

func inHost(path string) bool {
	return path == module+"/host" || strings.HasPrefix(path, module+"/host/")
}

func TestLayers(t *testing.T) {
	seen := 0
	for _, p := range listPackages(t) {
		if !inHost(p.ImportPath) {
			continue
		}
		layer, name := layerOf(p.ImportPath)
		if layer < 0 {
			t.Errorf("%s is in no layer: say in layers where it belongs", p.dir())
			continue
		}
		for _, imported := range p.Imports {
			if !inHost(imported) {
				continue
			}
			seen++
			lower, other := layerOf(imported)
			if lower >= layer && other != name {
				t.Errorf("%s imports %s, which is not beneath it", p.dir(), imported)
			}
		}
	}
	if seen == 0 {
		t.Error("no import within host/ was seen: the test looks at the wrong place")
	}
}

func TestLeaves(t *testing.T) {
	for _, p := range listPackages(t) {
		for prefix, may := range leaves {
			begins := func(path string) bool { return strings.HasPrefix(path, prefix) }
			if slices.ContainsFunc(p.Imports, begins) && !slices.Contains(may.importers, p.dir()) {
				t.Errorf("%s imports %s, which only %v may", p.dir(), prefix, may.importers)
			}
			if slices.ContainsFunc(p.Deps, begins) && !slices.Contains(may.linkers, p.dir()) {
				t.Errorf("%s links %s, which only %v may", p.dir(), prefix, may.linkers)
			}
		}
	}
}

func TestForbidden(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, f := range forbidden {
			if p.dir() != f.from && !strings.HasPrefix(p.dir(), f.from+"/") {
				continue
			}
			for _, dep := range p.Deps {
				if strings.HasPrefix(dep, f.to) {
					t.Errorf("%s depends on %s: %s", p.dir(), dep, f.reason)
				}
			}
		}
	}
}
