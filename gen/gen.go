// SPDX-License-Identifier: MPL-2.0

// Package gen turns a Go interface, or a .proto file, into all that carries it between a
// host and its plugins; docs/generator.md says how it is used. Readers make a contract of the
// source (package read), which is numbered (package evolve) and written (package write); the
// nouns between them are package model's.
package gen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reattach/reattach/gen/evolve"
	"github.com/reattach/reattach/gen/model"
	"github.com/reattach/reattach/gen/read"
	"github.com/reattach/reattach/gen/write"
)

// Options say what is generated.
type Options struct {
	// Dir is the directory of the Go package; empty is the current one.
	Dir string
	// Interfaces are the names of those that are kinds. Without them those are that a comment
	// marks with //reattach:kind, or else all that are exported and no parameter of another.
	// A single one that ends in .proto is a file in Dir, whose services become interfaces.
	Interfaces []string
	// Check writes nothing: it is an error if a file is not as it would be written, or the
	// contract has changed in a way that breaks peers.
	Check bool
	// Against is the file of an earlier record to compare with, such as that of the last
	// release. Empty is contract.json in Dir.
	Against string
	// Log takes what changed, one line each. Nil drops it.
	Log io.Writer
}

// ErrBreaking is matched by the error of a contract that peers of the same version do not
// understand any more.
var ErrBreaking = errors.New("breaking")

// ErrStale is matched by the error of a check for files that are not as they would be
// written.
var ErrStale = errors.New("not up to date")

// Run generates, or checks. What cannot travel is a read.Refusals.
func Run(ctx context.Context, o Options) error {
	if o.Dir == "" {
		o.Dir = "."
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	c, err := source(ctx, o)
	if err != nil {
		return err
	}
	committed, err := evolve.Read(filepath.Join(o.Dir, evolve.File))
	if err != nil {
		return err
	}
	record, err := evolve.Number(c, committed)
	if err != nil {
		return err
	}
	against := committed
	if o.Against != "" {
		if against, err = evolve.Read(o.Against); err != nil {
			return err
		}
		if against == nil {
			return fmt.Errorf("there is no record %s", o.Against)
		}
	}
	if err := compare(against, record, o.Log); err != nil {
		return err
	}
	files, err := write.Files(ctx, c)
	if err != nil {
		return err
	}
	files[evolve.File] = record.Bytes()
	if o.Check {
		return check(o.Dir, files)
	}
	return store(o.Dir, files)
}

// source reads the contract.
func source(ctx context.Context, o Options) (*model.Contract, error) {
	if len(o.Interfaces) == 1 && strings.HasSuffix(o.Interfaces[0], ".proto") {
		return read.Proto(ctx, o.Dir, o.Interfaces[0])
	}
	return read.Package(ctx, o.Dir, o.Interfaces...)
}

// compare says what changed, and fails if it breaks peers.
func compare(old, now *evolve.Record, log io.Writer) error {
	switch {
	case old == nil || old.Version < now.Version:
		return nil
	case old.Version > now.Version:
		return fmt.Errorf("the contract is version %d, and contract.json has version %d: versions count up", now.Version, old.Version)
	}
	var breaking []error
	for _, change := range evolve.Compare(old, now) {
		if !change.Breaking {
			_, _ = fmt.Fprintln(log, change)
			continue
		}
		breaking = append(breaking, fmt.Errorf("%s: %w for version %d: between a host before it and a plugin after it: %s; the other way round: %s",
			change.What, ErrBreaking, now.Version, change.OldHost, change.NewHost))
	}
	if len(breaking) == 0 {
		return nil
	}
	return errors.Join(append(breaking, fmt.Errorf("to keep both versions, leave this package as it is, copy it to a package v%d, "+
		"say //reattach:version=%d above its package clause, change it there, and serve both (docs/generator.md, Two versions); "+
		"a parameter that peers may leave out is no break: //reattach:optional=name; "+
		"if no peer has this version yet, delete contract.json", now.Version+1, now.Version+1))...)
}

// check holds that the files are there, as they would be written.
func check(dir string, files map[string][]byte) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(files)) {
		there, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			errs = append(errs, fmt.Errorf("%s is not there", filepath.Join(dir, name)))
		case err != nil:
			errs = append(errs, err)
		case !bytes.Equal(there, files[name]):
			errs = append(errs, fmt.Errorf("%s is %w", filepath.Join(dir, name), ErrStale))
		}
	}
	left, err := leftover(dir, files)
	if err != nil {
		return err
	}
	for _, path := range left {
		errs = append(errs, fmt.Errorf("%s is %w: its interface is gone", path, ErrStale))
	}
	if len(errs) > 0 {
		errs = append(errs, errors.New("run go generate, and commit what it writes"))
	}
	return errors.Join(errs...)
}

// leftover gives the files of interfaces that are gone.
func leftover(dir string, files map[string][]byte) ([]string, error) {
	written, err := filepath.Glob(filepath.Join(dir, "*"+model.Suffix))
	return slices.DeleteFunc(written, func(path string) bool { return files[filepath.Base(path)] != nil }), err
}

// store writes the files that changed, and removes those of interfaces that are gone.
func store(dir string, files map[string][]byte) error {
	left, err := leftover(dir, files)
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	for name, content := range files {
		path := filepath.Join(dir, name)
		if there, err := os.ReadFile(path); err == nil && bytes.Equal(there, content) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
