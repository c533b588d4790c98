// SPDX-License-Identifier: MPL-2.0

// Package build has what tools that build images and artifacts ask of their plugins.
package build

import (
	"context"
	"io/fs"
	"iter"
	"net/url"
)

// Artifact is what a build made.
type Artifact struct {
	ID     string
	Files  []string
	Digest [32]byte
	State  map[string]string
}

// UI shows a user how far a build is.
type UI interface {
	Say(text string) error
	Ask(question string) (answer string, err error)
	Progress(name string, current, total int64) error
}

// Hook runs before and after steps.
type Hook interface {
	Run(ctx context.Context, name string, data map[string]string) error
}

// Builder builds.
type Builder interface {
	Prepare(raws ...[]byte) (generated, warnings []string, err error)
	Run(ctx context.Context, ui UI, hook Hook) (*Artifact, error)
}

// Provisioner changes a machine before it becomes an image.
type Provisioner interface {
	Provision(ctx context.Context, ui UI, machine Machine, generated map[string]string) error
}

// Machine is the machine that is built.
type Machine interface {
	Start(ctx context.Context, command string) (exit int, stdout, stderr []byte, err error)
	Upload(ctx context.Context, path string, content []byte, mode fs.FileMode) error
}

// PostProcessor makes another artifact of an artifact.
type PostProcessor interface {
	PostProcess(ctx context.Context, ui UI, artifact Artifact) (made *Artifact, keep, force bool, err error)
}

// Datasource looks something up before a build.
type Datasource interface {
	Configure(raws ...[]byte) error
	Execute() (map[string][]byte, error)
}

// Frontend turns a description into steps.
type Frontend interface {
	Solve(ctx context.Context, source *url.URL, options map[string]string) (*Node, error)
}

// Node is a step and those that it needs.
type Node struct {
	Op     string
	Inputs []*Node
	Meta   map[string]string
}

// CodeGenerator generates code.
type CodeGenerator interface {
	Generate(ctx context.Context, parameter string, files []File) (generated []File, features uint64, err error)
}

// File is a file and its content.
type File struct {
	Name    string
	Content string
	Insert  *string
}

// ManifestSource makes manifests of a repository that is sent to it.
type ManifestSource interface {
	//reattach:idempotent
	Matches(ctx context.Context, path string) (bool, error)
	Generate(ctx context.Context, app string, env map[string]string, tarball iter.Seq2[[]byte, error]) (manifests []string, kind string, err error)
}
