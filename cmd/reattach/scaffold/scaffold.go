// SPDX-License-Identifier: MPL-2.0

// Package scaffold writes modules to start from: a contract, a plugin, or a host, which build,
// test, run and deploy as they are.
package scaffold

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"go/token"
	"go/types"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/reattach/reattach/gen"
	"github.com/reattach/reattach/gen/evolve"
)

//go:embed all:templates
var templates embed.FS

// The kinds of modules.
const (
	Contract = "contract"
	Plugin   = "plugin"
	Host     = "host"
)

// ErrOptions is matched by errors of options: nothing was written.
var ErrOptions = errors.New("bad option")

// Options say what is written.
type Options struct {
	// Kind is Contract, Plugin or Host.
	Kind string
	// Name is that of the Go package of the contract, and of the plugin.
	Name string
	// Module is the path of the module: example.com/NAME if empty.
	Module string
	// Dir is the directory to make: NAME if empty. It must not exist, or be empty.
	Dir string
	// Contract is the module of a contract that others keep, which is used in the place of one
	// of the module's own: its directory, or PATH@VERSION.
	Contract string
	// Source is the directory of Reattach's source that the module is built from. It is
	// needed as long as Version is not that of a release.
	Source string
	// Version is that of Reattach: [Version] of this program.
	Version string
	// Log takes what is done, for people. Nil drops it.
	Log io.Writer
}

// Version is that of the release that this program was built from, or empty.
func Version() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	return releaseOf(build)
}

// forkVersion begins the versions of the fork of go-plugin, of which each release of Reattach
// has one.
const forkVersion = "v1.8.0-reattach."

var release = regexp.MustCompile(`^v\d+\.\d+\.\d+(-(alpha|beta|rc)\.\d+)?$`)

func releaseOf(build *debug.BuildInfo) string {
	for _, m := range append([]*debug.Module{&build.Main}, build.Deps...) {
		// The command that a release has is built in the repository, where go.mod replaces the
		// library: there its own version counts, which is that of its tag.
		ours := m.Path == "github.com/reattach/reattach" || m.Path == "github.com/reattach/reattach/cmd/reattach"
		if ours && m.Replace == nil && release.MatchString(m.Version) {
			return m.Version
		}
	}
	return ""
}

// values are what templates have.
type values struct {
	Options
	// Type is the interface's name.
	Type string
	// CookieKey and CookieValue are the handshake's, and EnvPrefix what the host's variables
	// begin with.
	CookieKey, CookieValue, EnvPrefix string
	// ForkVersion is that of the fork of go-plugin.
	ForkVersion string
	// Import is the contract's package, and Pkg its name.
	Import, Pkg string
	// Foreign is a contract that others keep, or nil.
	Foreign *foreign
}

// SourceDir gives a directory of Reattach's source as go.mod has it.
func (v values) SourceDir(below string) string {
	return v.Quoted(filepath.Join(v.Source, below))
}

// Quoted gives a directory as go.mod has it.
func (values) Quoted(dir string) string {
	dir = filepath.ToSlash(dir)
	if strings.ContainsFunc(dir, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"'`()[]{},\\", r) }) {
		return strconv.Quote(dir)
	}
	return dir
}

var names = regexp.MustCompile(`^[a-z][a-z0-9]*$`)

// reserved are names that would hide what the files of a module use: packages, and their own
// variables.
var reserved = []string{"main", "host", "plugin", "contract", "context", "errors", "fmt", "io", "os", "strings", "test", "testing",
	"cli", "daemon", "daemontest", "vendor", "internal",
	"implementation", "program", "dispensed", "stub", "options", "protocol", "name", "want", "text", "err", "got", "said", "p", "t", "tc", "ctx", "d", "w"}

// usable reports whether a package of that name can be used by the files of a module.
func usable(name string) bool {
	return names.MatchString(name) && !slices.Contains(reserved, name) && !token.IsKeyword(name) && types.Universe.Lookup(name) == nil
}

func (o *Options) complete() error {
	if !usable(o.Name) {
		return fmt.Errorf("%w: name %q: want that of a Go package that no other one here has, in lower-case letters and digits, such as greeter", ErrOptions, o.Name)
	}
	if o.Module == "" {
		o.Module = "example.com/" + o.Name
	}
	if path.Base(o.Module) != o.Name || strings.ContainsAny(o.Module, " \t\n\"`") {
		return fmt.Errorf("%w: module %q: it must end with /%s", ErrOptions, o.Module, o.Name)
	}
	if o.Contract != "" && o.Kind == Contract {
		return fmt.Errorf("%w: contract %q: a contract does not have another one", ErrOptions, o.Contract)
	}
	if o.Dir == "" {
		o.Dir = o.Name
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Source == "" {
		if o.Version == "" {
			return fmt.Errorf("%w: there is no release that this program was built from: name a checkout of Reattach, which modules shall be built from (--reattach-source DIR, or REATTACH_SOURCE)", ErrOptions)
		}
		return o.checkDir()
	}
	dir, err := filepath.Abs(o.Source)
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "forks", "go-plugin", "go.mod"))
	}
	if err != nil {
		return fmt.Errorf("%w: source %q is no directory of Reattach's: %w", ErrOptions, o.Source, err)
	}
	o.Source, o.Version = dir, "v0.0.0"
	return o.checkDir()
}

// checkDir holds that nothing is overwritten.
func (o *Options) checkDir() error {
	there, err := os.ReadDir(o.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrOptions, err)
	}
	if len(there) > 0 {
		return fmt.Errorf("%w: directory %s is not empty", ErrOptions, o.Dir)
	}
	return nil
}

// Write makes a module: its files, what the generator makes of its contract, and the sums of
// what it depends on, for which the go command asks the module proxy.
func Write(ctx context.Context, o Options) error {
	if err := o.complete(); err != nil {
		return err
	}
	v := values{
		Options: o, Type: strings.ToUpper(o.Name[:1]) + o.Name[1:], EnvPrefix: strings.ToUpper(o.Name) + "_HOST", Import: o.Module, Pkg: o.Name,
	}
	v.ForkVersion = forkVersion + strings.TrimPrefix(o.Version, "v")
	parts := []string{"common"}
	if o.Kind != Contract {
		parts = append(parts, "both", o.Kind)
	}
	begin := v.ownContract
	if o.Contract != "" {
		begin = v.otherContract
	}
	if err := begin(ctx); err != nil {
		return err
	}
	for _, part := range parts {
		if err := v.writeAll("templates/" + part); err != nil {
			return err
		}
	}
	fmt.Fprintf(o.Log, "%s is written; go mod tidy looks up what it needs\n", o.Dir)
	tidy := exec.CommandContext(ctx, "go", "mod", "tidy")
	tidy.Dir = o.Dir
	tidy.Env = append(os.Environ(), "GOWORK=off")
	if out, err := tidy.CombinedOutput(); err != nil {
		return fmt.Errorf("go mod tidy in %s: %w\n%s", o.Dir, err, bytes.TrimSpace(out))
	}
	return nil
}

// ownContract writes a contract, and what carries it.
func (v *values) ownContract(ctx context.Context) error {
	if err := v.write("templates/common/NAME.go.tmpl", v.Name+".go"); err != nil {
		return err
	}
	if err := v.write("templates/common/go.mod.tmpl", "go.mod"); err != nil {
		return err
	}
	if err := gen.Run(ctx, gen.Options{Dir: v.Dir}); err != nil {
		return fmt.Errorf("generate the contract: %w", err)
	}
	return v.readContract(v.Dir)
}

// readContract learns the cookie of a contract, and its first interface that is a kind.
func (v *values) readContract(dir string) error {
	record, err := evolve.Read(filepath.Join(dir, evolve.File))
	if err != nil {
		return err
	}
	if record == nil {
		return fmt.Errorf("%w: contract %s has no %s: reattach gen writes it", ErrOptions, dir, evolve.File)
	}
	i := slices.IndexFunc(record.Services, func(s evolve.Service) bool { return s.Kind != "" })
	if i < 0 {
		return fmt.Errorf("%w: contract %s has no kind", ErrOptions, dir)
	}
	v.Type = record.Services[i].Name
	v.CookieKey, v.CookieValue, _ = strings.Cut(record.Handshake, "=")
	return nil
}

// writeAll writes the files of a part that are not there.
func (v *values) writeAll(part string) error {
	return fs.WalkDir(templates, part, func(from string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Base(from) == "NAME.go.tmpl" || path.Base(from) == "go.mod.tmpl" {
			return err
		}
		return v.write(from, strings.TrimSuffix(strings.TrimPrefix(from, part+"/"), ".tmpl"))
	})
}

// write writes one file.
func (v *values) write(from, to string) error {
	raw, err := templates.ReadFile(from)
	if err != nil {
		return err
	}
	t, err := template.New(from).Delims("<%", "%>").Option("missingkey=error").Parse(string(raw))
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, v); err != nil {
		return err
	}
	if text.Len() == 0 {
		return nil // this module does not have the file
	}
	file := filepath.Join(v.Dir, filepath.FromSlash(to))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o644)
	if strings.HasSuffix(to, ".sh") {
		mode = 0o755
	}
	return os.WriteFile(file, text.Bytes(), mode)
}
