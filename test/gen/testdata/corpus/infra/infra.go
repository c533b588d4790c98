// SPDX-License-Identifier: MPL-2.0

// Package infra has what tools for infrastructure ask of their providers.
package infra

import (
	"context"
	"errors"
	"fmt"
)

// Severity is how bad something is.
type Severity uint8

// Diagnostic tells a user what is wrong, and where.
type Diagnostic struct {
	Severity        Severity
	Summary, Detail string
	Path            []Step
}

// Step is a step on the way to an attribute.
type Step struct {
	Attribute *string
	Index     *int64
}

// Attribute describes one attribute of a resource, which may have attributes itself.
type Attribute struct {
	Name     string
	Type     string
	Required bool
	Nested   []*Attribute
}

// Schema describes a resource.
type Schema struct {
	Version    int64
	Attributes []Attribute
	Blocks     map[string]*Schema
}

// State is the state of a resource, as the provider encodes it.
type State struct {
	Type    string
	Raw     []byte
	Private []byte
}

// ErrUnknownType says that there is no such resource.
var ErrUnknownType = errors.New("unknown resource type")

// LockedError says that somebody else changes the state.
type LockedError struct {
	Holder string
	Since  int64
}

// Error implements error.
func (e LockedError) Error() string { return fmt.Sprintf("locked by %s", e.Holder) }

// Provider makes resources what a plan says.
type Provider interface {
	// Schemas gives the schema of each resource.
	//reattach:idempotent
	Schemas(ctx context.Context) (map[string]Schema, error)
	Configure(ctx context.Context, version string, config []byte) ([]Diagnostic, error)
	// Plan says what applying would change.
	//reattach:idempotent timeout=90s
	Plan(ctx context.Context, prior, proposed State) (planned State, replaces []string, diagnostics []Diagnostic, err error)
	Apply(ctx context.Context, prior, planned State) (State, []Diagnostic, error)
	Import(ctx context.Context, kind, id string) ([]State, error)
	Stop() error
}

// Provisioner runs something on a resource that was made.
type Provisioner interface {
	Run(ctx context.Context, config map[string]string, out Output) error
}

// Output takes what a provisioner prints.
type Output interface {
	Line(text string) error
}

// Function is a function of a configuration language.
type Function interface {
	Call(ctx context.Context, name string, args ...[]byte) ([]byte, error)
}

// Linter inspects a configuration.
type Linter interface {
	Rules() ([]string, error)
	Check(ctx context.Context, runner Runner) error
}

// Runner is what a linter asks of its host.
type Runner interface {
	Files(ctx context.Context) (map[string][]byte, error)
	Emit(ctx context.Context, rule, message string, at Range) error
}

// Position is a place in a file.
type Position struct{ Line, Column, Byte int }

// Range is a part of a file.
type Range struct {
	Filename   string
	Start, End Position
}
