// SPDX-License-Identifier: MPL-2.0

// Command protoc takes the place of the program of that name for what this repository asks of
// it, so that nobody has to install one: it compiles .proto files, and has generators write
// code, each a program protoc-gen-NAME in PATH.
//
//	protoc [-I DIR] --NAME_out=DIR [--NAME_opt=OPTION[,OPTION]...]... FILE.proto...
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "protoc:", err)
		os.Exit(1)
	}
}

// command is a command line.
type command struct {
	roots, files []string
	names        []string          // of generators, in the order of the command line
	out          map[string]string // by the name of a generator: a directory
	options      map[string][]string
}

func parse(args []string) (*command, error) {
	c := &command{out: make(map[string]string), options: make(map[string][]string)}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		flag, value, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		name, isOut := strings.CutSuffix(flag, "_out")
		of, isOption := strings.CutSuffix(flag, "_opt")
		switch {
		case arg == "-I" && len(args) > 0:
			c.roots = append(c.roots, args[0])
			args = args[1:]
		case !strings.HasPrefix(arg, "-"):
			c.files = append(c.files, arg)
		case isOut && strings.HasPrefix(arg, "--"):
			c.names = append(c.names, name)
			c.out[name] = value
		case isOption && strings.HasPrefix(arg, "--"):
			c.options[of] = append(c.options[of], value)
		default:
			return nil, fmt.Errorf("%s is not known to this protoc, which has -I DIR, --NAME_out=DIR and --NAME_opt=OPTION", arg)
		}
	}
	if len(c.files) == 0 || len(c.names) == 0 {
		return nil, errors.New("want files and a generator, as in --go_out=DIR FILE.proto")
	}
	if len(c.roots) == 0 {
		c.roots = []string{"."}
	}
	return c, nil
}

func run(ctx context.Context, args []string) error {
	c, err := parse(args)
	if err != nil {
		return err
	}
	compiler := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: c.roots}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files := make([]string, len(c.files))
	for i, file := range c.files {
		files[i] = filepath.ToSlash(filepath.Clean(file))
	}
	compiled, err := compiler.Compile(ctx, files...)
	if err != nil {
		return err
	}
	all := withImports(compiled)
	for _, name := range c.names {
		request := &pluginpb.CodeGeneratorRequest{FileToGenerate: files, ProtoFile: all, Parameter: proto.String(strings.Join(c.options[name], ","))}
		if err := generate(ctx, name, request, c.out[name]); err != nil {
			return fmt.Errorf("protoc-gen-%s: %w", name, err)
		}
	}
	return nil
}

// generate has a generator write its files below a directory.
func generate(ctx context.Context, name string, request *pluginpb.CodeGeneratorRequest, dir string) error {
	raw, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "protoc-gen-"+name)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(raw), os.Stderr
	said, err := cmd.Output()
	if err != nil {
		return err
	}
	var answer pluginpb.CodeGeneratorResponse
	if err := proto.Unmarshal(said, &answer); err != nil {
		return err
	}
	if answer.Error != nil {
		return errors.New(answer.GetError())
	}
	for _, file := range answer.GetFile() {
		path := filepath.Join(dir, filepath.FromSlash(file.GetName()))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(file.GetContent()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// withImports gives files, each after those that it imports.
func withImports(files linker.Files) (all []*descriptorpb.FileDescriptorProto) {
	var seen []string
	var add func(protoreflect.FileDescriptor)
	add = func(f protoreflect.FileDescriptor) {
		if slices.Contains(seen, f.Path()) {
			return
		}
		seen = append(seen, f.Path())
		for i := range f.Imports().Len() {
			add(f.Imports().Get(i).FileDescriptor)
		}
		all = append(all, protoutil.ProtoFromFileDescriptor(f))
	}
	for _, f := range files {
		add(f)
	}
	return all
}
