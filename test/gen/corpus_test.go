// SPDX-License-Identifier: MPL-2.0

package gen

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/reattach/reattach/gen"
	"github.com/reattach/reattach/gen/read"
)

// interfaces is how many interfaces the corpus has at least, and refusals how many sources
// are refused.
const interfaces, refusals = 40, 15

// TestCorpus generates what carries the interfaces of the corpus, and runs the tests that
// are generated with them: random values over both protocols.
func TestCorpus(t *testing.T) {
	dir := module(t)
	sources, err := filepath.Glob("testdata/corpus/*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	var generated sync.WaitGroup
	for _, source := range sources {
		to := filepath.Join(dir, filepath.Base(filepath.Dir(source)))
		copyFile(t, source, filepath.Join(to, filepath.Base(source)))
		generated.Go(func() {
			if err := gen.Run(t.Context(), gen.Options{Dir: to}); err != nil {
				t.Errorf("%s:\n%v", source, err)
			} else if err := gen.Run(t.Context(), gen.Options{Dir: to, Check: true}); err != nil {
				t.Errorf("%s: what was written is not what would be written:\n%v", source, err)
			}
		})
	}
	for _, name := range []string{"shop", "clock", "pulse"} {
		file := name + ".proto"
		copyFile(t, filepath.Join("testdata", "protos", name, file), filepath.Join(dir, name, file))
		if err := gen.Run(t.Context(), gen.Options{Dir: filepath.Join(dir, name), Interfaces: []string{file}}); err != nil {
			t.Errorf("%s:\n%v", file, err)
		}
	}
	generated.Wait()
	if t.Failed() {
		t.FailNow()
	}
	for _, source := range sources {
		found += len(regexp.MustCompile(`(?m)^type [A-Z]\w* interface \{`).FindAllString(readFile(t, source), -1))
	}
	if found < interfaces {
		t.Errorf("the corpus has %d interfaces, want %d", found, interfaces)
	}
	t.Logf("%d interfaces in %d packages", found, len(sources))
	copyFile(t, "testdata/fakes/observe_test.go", filepath.Join(dir, "observe", "fake_test.go"))
	copyFile(t, "testdata/attached/attached_test.go.txt", filepath.Join(dir, "attached", "attached_test.go"))
	run(t, dir, "go", "vet", "./...")
	out := run(t, dir, "go", "test", "-v", "./...")
	tried := len(regexp.MustCompile(`(?m)^    --- PASS: Test\w+OverBothProtocols/(net/rpc|gRPC) `).FindAllString(out, -1))
	methods := len(regexp.MustCompile(`(?m)^        --- PASS: Test\w+OverBothProtocols/(net/rpc|gRPC)/`).FindAllString(out, -1))
	t.Logf("%d times a kind over a protocol, %d methods", tried, methods)
	if tried < 2*(interfaces-12) { // the others are called back by methods
		t.Errorf("%d kinds were tried over a protocol:\n%s", tried, out)
	}
}

// TestRefused holds that what cannot travel is refused, on the line that says so.
func TestRefused(t *testing.T) {
	dir := module(t)
	sources, err := filepath.Glob("testdata/refused/*.go")
	if err != nil {
		t.Fatal(err)
	}
	if len(sources) < refusals {
		t.Errorf("there are %d sources, want %d", len(sources), refusals)
	}
	want := regexp.MustCompile("`([^`]+)`")
	for _, source := range sources {
		name := strings.TrimSuffix(filepath.Base(source), ".go")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := filepath.Join(dir, name)
			copyFile(t, source, filepath.Join(to, "refused.go"))
			err := gen.Run(t.Context(), gen.Options{Dir: to})
			var refused read.Refusals
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want a refusal", err)
			}
			i := 0
			for n, line := range strings.Split(readFile(t, source), "\n") {
				_, comment, _ := strings.Cut(line, "// want ")
				for _, pattern := range want.FindAllStringSubmatch(comment, -1) {
					switch {
					case i == len(refused):
						t.Fatalf("got %v, and not %q", err, pattern[1])
					case refused[i].Pos.Line != n+1 || filepath.Base(refused[i].Pos.Filename) != "refused.go":
						t.Errorf("%v is not at line %d", refused[i], n+1)
					case !regexp.MustCompile(pattern[1]).MatchString(refused[i].Reason):
						t.Errorf("got %v, want %q", refused[i], pattern[1])
					}
					i++
				}
			}
			if i < len(refused) || i == 0 {
				t.Errorf("%d refusals were expected:\n%v", i, err)
			}
			if left, _ := filepath.Glob(filepath.Join(to, "*")); len(left) != 1 {
				t.Errorf("it wrote %v", left)
			}
		})
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func copyFile(t *testing.T, from, to string) { writeFile(t, to, readFile(t, from)) }

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// module makes a module for generated code, with what this one depends on.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	mod := strings.Replace(readFile(t, "go.mod"), "module github.com/reattach/reattach/test/gen", "module corpus.test", 1)
	mod = strings.ReplaceAll(mod, "=> ../..", "=> "+root)
	writeFile(t, filepath.Join(dir, "go.mod"), mod)
	copyFile(t, "go.sum", filepath.Join(dir, "go.sum"))
	return dir
}

// run runs a command that must succeed, and gives what it prints.
func run(t *testing.T, dir string, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return string(out)
}
