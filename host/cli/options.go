// SPDX-License-Identifier: MPL-2.0

// Package cli is the command line of a host, as a library: it turns arguments and
// environment into a daemon, or into questions to one, and what comes of it into text
// and an exit code. A program of its own says what it is by [Options].
package cli

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/doctor"
	"github.com/reattach/reattach/host/dynamic"
	"github.com/reattach/reattach/host/stub"
)

// Options is what makes a host of its own of this command line. Handshake and Kinds
// must be set.
type Options struct {
	// Name is the program's. In capitals it begins the names of the variables that are
	// the program's own, such as BASIC_LISTEN. Empty is the name of the executable.
	Name string
	// Short says in a few words what the program is for. Empty says it of any host.
	Short string
	// Handshake, Versions and Kinds are those of daemon.Options.
	Handshake plugin.HandshakeConfig
	Versions  func(plugin.PluginSet) map[int]plugin.PluginSet
	Kinds     []daemon.Kind
	// PluginDir is where executables and shared objects are looked for if PLUGIN_DIR is not set,
	// such as ./bin; the directory need not exist. Empty is nowhere. What lies in it is started
	// by almost every command, so a path that depends on the directory that somebody happens to
	// be in suits a program that is run from one place, and no tool that is run anywhere.
	PluginDir string
	// OnceReady is called with each plugin that became ready: once by the program
	// without a command, and each time by serve. It runs in a goroutine for each plugin,
	// and must return when ctx ends; calls without a context fail then. What it writes to
	// w is printed with the plugin's name, when it has returned. An error is printed
	// likewise, and becomes the exit code of the program without a command; in serve
	// nothing else comes of it.
	OnceReady func(ctx context.Context, d *daemon.Daemon, plugin string, w io.Writer) error
	// Environment is a pointer to a struct of what the program reads besides: fields as
	// envconfig has them, each with a tag desc for people. It is filled in before
	// anything else is called.
	Environment any
	// Tracer, if not nil, gives what follows the calls of a daemon, as daemon.Options has it,
	// or nil if the environment asks for nothing: tracing.FromEnv of package host/tracing is
	// one. service is the program's name there, if the environment has no other one or it is
	// fixed: then the environment is that of somebody else, as it is for expose and attach.
	// It is called once by these and by a command that has a daemon of its own, and stop at
	// its end, also after an error.
	Tracer func(service string, fixed bool, logger hclog.Logger) (tracer stub.Tracer, stop func(), err error)
	// Finders find plugins in further places.
	Finders []Finder
	// AnyPlugin is for a program that knows no kinds, or those of contracts that it is told
	// of: it calls a kind that is not among Kinds as the plugin describes it. Such a program
	// has no serve, and shows its help without a command.
	AnyPlugin bool
	// OtherCookie, if not empty, is said with why a plugin cannot be called: what to do if it
	// wants another cookie than Handshake has.
	OtherCookie string
	// Settle, if not nil, completes the options that depend on Environment or on flags of
	// Extend. A command calls it once, before it uses any.
	Settle func(*Options) error
	// Extend, if not nil, adds commands and flags of the program's own.
	Extend func(root *cobra.Command)

	// called is how the program was called, if not by its name.
	called string
	// silent, if not nil, takes the place of the time that a command waits before it says
	// what for, in tests.
	silent <-chan struct{}
}

// Finder finds plugins where not every program looks, so that a program links only
// what it names. The value that implements it must be a pointer to a struct, whose
// exported fields are read from the environment as those of Options.Environment are. No
// two programs may share one.
type Finder interface {
	// Wanted reports whether the environment asks for it.
	Wanted() bool
	// Source gives what finds the plugins. It is called if it is wanted, and once.
	Source(logger hclog.Logger) (discovery.Source, error)
	// Follow is called by serve alone, after Source, with the daemon that uses the source
	// and has not begun to run. Metrics that it registers are served with the others. It
	// must not block; end is called once, when the daemon has ended.
	Follow(d *daemon.Daemon, metrics prometheus.Registerer) (end func())
}

// TargetFinder is a Finder that knows targets of its own form for attach, such as
// k8s:///namespace/service.
type TargetFinder interface {
	// Target gives what finds the one plugin of a target, and its name there. It reports
	// false for a target of another form.
	Target(target string, logger hclog.Logger) (source discovery.Source, plugin string, ok bool, err error)
}

// Examiner is a Finder that knows what lies on the way to its plugins before their
// addresses, for doctor.
type Examiner interface {
	// Ways gives those that a question is about. It is called without Source.
	Ways(ctx context.Context, q doctor.Question) ([]doctor.Way, error)
	// Planned gives those that manifests describe, by their names, before they are
	// applied. It reaches nothing.
	Planned(q doctor.Question, manifests map[string][]byte) ([]doctor.Way, error)
	// Inside runs the program with other arguments where the host runs, and gives what it
	// printed. That it does not come to run may be a *doctor.Finding, and that it does not
	// take its arguments matches doctor.ErrArguments.
	Inside(ctx context.Context, q doctor.Question, args []string) ([]byte, error)
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	o.Name = cmp.Or(o.Name, strings.TrimSuffix(filepath.Base(os.Args[0]), ".exe"))
	o.Short = cmp.Or(o.Short, "Use plugins wherever they run")
	return o
}

// kubectlPrefix begins the names of programs that kubectl has for commands of its own.
const kubectlPrefix = "kubectl-"

// calledBy is what a program is called that runs under another name for kubectl: kubectl
// reattach, if that is kubectl-reattach. Empty: by its own name.
func calledBy(path string) string {
	name, ok := strings.CutPrefix(strings.TrimSuffix(filepath.Base(path), ".exe"), kubectlPrefix)
	if !ok {
		return ""
	}
	return "kubectl " + strings.ReplaceAll(name, "_", "-") // as kubectl has it for commands with a dash
}

// anyKind is the name of a kind that stands for all those that are not known.
const anyKind = "-"

// settled gives the options as commands use them.
func (o Options) settled() (Options, error) {
	if o.Settle != nil {
		settle := o.Settle
		o.Settle = nil
		if err := settle(&o); err != nil {
			return o, &failure{exitUsage, err}
		}
	}
	if o.AnyPlugin && len(o.Kinds) == 0 {
		o.Kinds = []daemon.Kind{dynamic.Kind(anyKind, nil, "")}
	}
	return o, nil
}

// withKind adds a kind that a plugin describes, unless it is known.
func (o Options) withKind(name, method string) Options {
	known := slices.ContainsFunc(o.Kinds, func(k daemon.Kind) bool { return k.Name() == name })
	if o.AnyPlugin && !known {
		o.Kinds = append(o.Kinds[:len(o.Kinds):len(o.Kinds)], dynamic.Kind(name, nil, method))
	}
	return o
}

// prefix begins the names of the program's own variables.
func (o Options) prefix() string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, o.Name)
}

// knownVersions are those of the contract, in order.
func (o Options) knownVersions() []int {
	d := daemon.Options{Handshake: o.Handshake, Versions: o.Versions, Kinds: o.Kinds}
	all, err := d.AllVersions()
	if err != nil {
		return nil // daemon.New says it
	}
	versions := make([]int, 0, len(all))
	for v := range all {
		versions = append(versions, v)
	}
	slices.Sort(versions)
	return versions
}
