// SPDX-License-Identifier: MPL-2.0

//go:build linux && cgo

package so

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// load runs the host of these tests, a process of its own that is built with
// -trimpath, and returns what it says of each file.
func load(t *testing.T, host string, paths ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), host, paths...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(paths) {
		t.Fatalf("want a line for each of %v, got\n%s", paths, out)
	}
	return lines
}

// TestMismatch has a shared object for everything that can be wrong with one.
func TestMismatch(t *testing.T) {
	host := build(t, ".", "host", "./internal/sohost", "-trimpath")
	good := scratch{name: "good", main: goodPlugin}.build(t)
	outside := scratch{name: "outside", main: commonsPlugin}.build(t)
	version := runtime.Version()
	otherVersion := strings.Replace(version, "go1.", "go0.", 1)

	cases := map[string]struct {
		reason string
		path   string
		want   []string
	}{
		"good": {
			"a module of its own, with the fork that the host has", good, []string{"Grüezi Ada"},
		},
		"greeter": {
			"the greeter of this repository", build(t, root, "greeter-so.so", "./pluginso", "-buildmode=plugin", "-trimpath"),
			[]string{"Hello Ada"},
		},
		"other Go": {
			// Only one Go is at hand: the version in the file's build
			// information was changed, and nothing else.
			"the first thing that must be equal", patched(t, good, version, otherVersion),
			[]string{"Go: the host has " + version + ", the shared object " + otherVersion},
		},
		"other machine": {
			// Nor is another machine: its number in the file's head was changed.
			"a file for a cluster's other nodes", otherMachine(t, good), []string{"for another machine", runtime.GOARCH},
		},
		"no -trimpath": {
			"a flag that is easily forgotten", scratch{name: "untrimmed", main: symbolMissing, flags: []string{"-buildmode=plugin"}}.build(t),
			[]string{"-trimpath: the host has true, the shared object none"},
		},
		"-race": {
			"the race detector is in every package", scratch{name: "raced", main: symbolMissing, flags: []string{"-buildmode=plugin", "-trimpath", "-race"}}.build(t),
			[]string{"-race: the host has none, the shared object true"},
		},
		"other dependency": {
			"the module is named, with both versions",
			scratch{name: "olddep", main: goodPlugin, more: "\nreplace github.com/fatih/color => github.com/fatih/color v1.7.0\n"}.build(t),
			[]string{"module github.com/fatih/color: the host has v", "=> github.com/fatih/color v1.7.0"},
		},
		"other fork": {
			"a directory tells no version: the package is named that Go finds",
			scratch{name: "otherfork", main: goodPlugin, fork: otherFork(t)}.build(t),
			[]string{"package github.com/hashicorp/go-plugin", "is not the same", "module github.com/hashicorp/go-plugin"},
		},
		"commons from outside": {
			"what is the host's own module must not be a dependency of the shared object",
			outside,
			[]string{"package github.com/reattach/reattach/commons", "is not the same", "the host has its own source"},
		},
		"symbol missing": {
			"the function that it must have is named", scratch{name: "missing", main: symbolMissing}.build(t),
			[]string{"symbol ReattachPlugins is missing", "func ReattachPlugins() *plugin.ServeConfig"},
		},
		"symbol is a variable": {
			"both types are named", scratch{name: "variable", main: symbolVariable}.build(t),
			[]string{"symbol ReattachPlugins is of the wrong type: it is a *int, want a func() *plugin.ServeConfig"},
		},
		"symbol of another type": {
			"both types are named", scratch{name: "othertype", main: symbolOther}.build(t),
			[]string{"symbol ReattachPlugins is of the wrong type: it is a func() string, want a func() *plugin.ServeConfig"},
		},
		"nothing to serve": {
			"an empty configuration is a mistake", scratch{name: "empty", main: emptyPlugin}.build(t),
			[]string{"ReattachPlugins returned nothing to serve"},
		},
		"panic": {
			"the host survives it", scratch{name: "panicking", main: panickingPlugin}.build(t),
			[]string{"ReattachPlugins panics: no configuration file"},
		},
		"c-shared": {
			"the other sort of shared object that Go makes",
			scratch{name: "forc", main: cLibrary, flags: []string{"-buildmode=c-shared", "-trimpath"}}.build(t),
			[]string{"not a Go plugin", "-buildmode=c-shared"},
		},
		"executable": {
			"a plugin that was built without the flag", scratch{name: "program", main: symbolMissing, flags: []string{"-trimpath"}}.build(t),
			[]string{"not a shared object but an ELF file of type ET_EXEC"},
		},
		"PIE": {
			"an executable that looks like a shared object", scratch{name: "pie", main: symbolMissing, flags: []string{"-trimpath", "-buildmode=pie"}}.build(t),
			[]string{"not a Go plugin", "an executable, built with -buildmode=pie"},
		},
		"C":                   {"a shared object, but of C", libraryOfC(t), []string{"no Go build information"}},
		"text":                {"a script, with its first bytes", text(t), []string{`not a shared object: it begins with "#!/bin/sh`}},
		"head of an ELF file": {"what a copy leaves that stopped", written(t, "head.so", []byte("\x7fELF\x02\x01\x01")), []string{"not a shared object"}},
		"empty file":          {"nothing at all", written(t, "empty.so", nil), []string{`it begins with ""`}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := load(t, host, tc.path)[0]
			t.Log(got)
			for _, part := range tc.want {
				if !strings.Contains(got, part) {
					t.Errorf("%s: the host says %q, which lacks %q", tc.reason, got, part)
				}
			}
			if greeted := strings.HasSuffix(got, " Ada"); !greeted && !strings.HasPrefix(got, "permanent: load "+tc.path+": ") {
				t.Errorf("%s: the host says %q, want a permanent error that names the file", tc.reason, got)
			}
		})
	}

	t.Run("newer build under another name", func(t *testing.T) {
		newer := scratch{name: "good", main: strings.Replace(goodPlugin, "Grüezi", "Hoi", 1)}.build(t)
		said := load(t, host, good, newer, good)
		want := "package example.com/good is loaded already, from " + good
		if said[0] != "Grüezi Ada" || !strings.Contains(said[1], want) || !strings.Contains(said[1], "restart the host") || said[2] != "Grüezi Ada" {
			t.Errorf("the host says %q", said)
		}
	})
	t.Run("method that panics", func(t *testing.T) {
		poison := scratch{name: "poison", main: strings.Replace(goodPlugin, `*reply = "Grüezi "`, `panic("no more"); *reply = "Grüezi "`, 1)}.build(t)
		said := load(t, host, poison, good)
		if !strings.Contains(said[0], "panicked: no more") || said[1] != "Grüezi Ada" {
			t.Errorf("the host says %q", said)
		}
	})
	t.Run("host from outside as well", func(t *testing.T) {
		source, err := os.ReadFile("internal/sohost/main.go")
		if err != nil {
			t.Fatal(err)
		}
		ofSomebody := scratch{name: "host", main: string(source), flags: []string{"-trimpath"}}.build(t)
		if got := load(t, ofSomebody, outside)[0]; got != "Salut Ada" {
			t.Errorf("two modules that both depend on this one do not fit together: %s", got)
		}
	})
	t.Run("static host", func(t *testing.T) {
		static := buildWith(t, "CGO_ENABLED=0", ".", "static", "./internal/sohost", "-trimpath")
		if got := load(t, static, good)[0]; !strings.HasPrefix(got, "permanent: load "+good+": in-process shared objects are off") || !strings.Contains(got, "CGO_ENABLED=0") {
			t.Errorf("the host says %q", got)
		}
	})
}
