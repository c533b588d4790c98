// SPDX-License-Identifier: MPL-2.0

//go:build cgo && (linux || darwin || freebsd)

package so

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// root is the repository.
const root = "../../.."

// plugins are main packages of modules of their own.
const (
	// goodPlugin needs nothing of this repository but the fork.
	goodPlugin = `package main

import (
	"net/rpc"

	"github.com/hashicorp/go-plugin"
)

type greeter struct{}

func (greeter) Server(*plugin.MuxBroker) (any, error) { return greeter{}, nil }

func (greeter) Client(*plugin.MuxBroker, *rpc.Client) (any, error) { return nil, nil }

func (greeter) Greet(args map[string]any, reply *string) error {
	*reply = "Grüezi " + args["name"].(string)
	return nil
}

func ReattachPlugins() *plugin.ServeConfig {
	return &plugin.ServeConfig{
		HandshakeConfig: plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "BASIC_PLUGIN", MagicCookieValue: "hello"},
		Plugins:         plugin.PluginSet{"greeter": greeter{}},
	}
}

func main() {}
`
	commonsPlugin = `package main

import (
	"github.com/hashicorp/go-plugin"
	"github.com/reattach/reattach/commons"
)

type greeter struct{}

func (greeter) Greet(name string) (string, error) { return "Salut " + name, nil }

func (greeter) Hi(int) (string, error) { return "Salut", nil }

func ReattachPlugins() *plugin.ServeConfig {
	return commons.ServeConfig(nil, plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: greeter{}}})
}

func main() {}
`
	emptyPlugin = `package main

import "github.com/hashicorp/go-plugin"

func ReattachPlugins() *plugin.ServeConfig { return &plugin.ServeConfig{} }

func main() {}
`
	panickingPlugin = `package main

import "github.com/hashicorp/go-plugin"

func ReattachPlugins() *plugin.ServeConfig { panic("no configuration file") }

func main() {}
`
	symbolMissing  = "package main\n\nfunc Plugins() {}\n\nfunc main() {}\n"
	symbolVariable = "package main\n\nvar ReattachPlugins = 7\n\nfunc main() {}\n"
	symbolOther    = "package main\n\nfunc ReattachPlugins() string { return \"\" }\n\nfunc main() {}\n"
	cLibrary       = "package main\n\nimport \"C\"\n\n//export Greet\nfunc Greet() {}\n\nfunc main() {}\n"
)

// scratch is a module beside this repository, which takes the fork from a
// directory, and all else in the host's versions.
type scratch struct {
	name, main string
	fork       string // the repository's own if empty
	more       string // further lines of go.mod
	flags      []string
}

// build returns the file that go build makes, with -trimpath as the host of
// these tests.
func (s scratch) build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	mod := "module example.com/" + s.name + "\n\ngo 1.26\n"
	if strings.Contains(s.main, "hashicorp") {
		mod += "\nrequire github.com/hashicorp/go-plugin v1.8.0\n" +
			"\nreplace github.com/hashicorp/go-plugin => " + absolute(t, orDefault(s.fork, root+"/forks/go-plugin")) + "\n"
	}
	if strings.Contains(s.main, "reattach/commons") {
		mod += "\nrequire github.com/reattach/reattach v0.0.0\n" +
			"\nreplace github.com/reattach/reattach => " + absolute(t, root) + "\n"
	}
	// The fork asks for older versions of what the host has too.
	host, err := os.ReadFile(root + "/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile(`(?ms)^require \($.*?^\)$`).FindAllString(string(host), -1) {
		mod += "\n" + block + "\n"
	}
	sum, err := os.ReadFile(root + "/go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"go.mod": mod + s.more, "go.sum": string(sum), "main.go": s.main} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	flags := s.flags
	if flags == nil {
		flags = []string{"-buildmode=plugin", "-trimpath"}
	}
	t.Setenv("GOSUMDB", "off") // go.sum has what is needed; the one replacement has been used before
	return build(t, dir, s.name+".so", ".", append([]string{"-mod=mod"}, flags...)...)
}

func orDefault(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// otherFork is a copy of the fork with one more function.
func otherFork(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "go-plugin")
	if err := os.CopyFS(dir, os.DirFS(root+"/forks/go-plugin")); err != nil {
		t.Fatal(err)
	}
	more := "package plugin\n\n// More is new.\nfunc More() {}\n"
	if err := os.WriteFile(filepath.Join(dir, "more.go"), []byte(more), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

// patched is a copy of a file in which one text was replaced by another of the
// same length, everywhere.
func patched(t *testing.T, path, old, changed string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(old) != len(changed) || !bytes.Contains(content, []byte(old)) {
		t.Fatalf("%q cannot be replaced by %q in %s", old, changed, path)
	}
	return written(t, filepath.Base(path), bytes.ReplaceAll(content, []byte(old), []byte(changed)))
}

// otherMachine is a copy of a file that says it is for another machine.
func otherMachine(t *testing.T, path string) string {
	t.Helper()
	const machine = 18 // e_machine in the ELF header, two bytes
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[machine] = 0xF3 // EM_RISCV
	if runtime.GOARCH == "riscv64" {
		content[machine] = 0x3E // EM_X86_64
	}
	return written(t, filepath.Base(path), content)
}

func written(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// libraryOfC is a shared object that a C compiler made.
func libraryOfC(t *testing.T) string {
	t.Helper()
	source := written(t, "c.c", []byte("int greet(void) { return 7; }\n"))
	path := filepath.Join(t.TempDir(), "c.so")
	compiler := orDefault(os.Getenv("CC"), "cc") // cgo needs one as well
	if out, err := exec.CommandContext(t.Context(), compiler, "-shared", "-fPIC", "-o", path, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}
