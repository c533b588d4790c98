// SPDX-License-Identifier: MPL-2.0

// Command demo opens one of two Go shared objects, chosen while it runs, and
// uses what is in it: a function, and a variable that both sides share.
//
//	demo DIRECTORY    opens DIRECTORY/plugin1.so; with PLUGIN_NUMBER=2 plugin2.so
package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"plugin"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want the directory with the shared objects, got %d arguments", len(args))
	}
	number := cmp.Or(os.Getenv("PLUGIN_NUMBER"), "1")
	loaded, err := load(filepath.Join(args[0], "plugin"+number+".so"))
	if err != nil {
		return fmt.Errorf("with PLUGIN_NUMBER=%s: %w", number, err)
	}
	loaded.run()
	fmt.Println("host:    I is", *loaded.i)
	*loaded.i *= 2
	fmt.Println("host:    I is doubled")
	loaded.printI()
	return nil
}

// object is what the demo knows of a shared object.
type object struct {
	run    func()
	i      *int
	printI func()
}

func load(path string) (object, error) {
	p, err := plugin.Open(path)
	if err != nil {
		return object{}, err
	}
	var o object
	if o.run, err = symbol[func()](p, "Run"); err != nil {
		return object{}, err
	}
	// The symbol of a variable is its address.
	if o.i, err = symbol[*int](p, "I"); err != nil {
		return object{}, err
	}
	o.printI, err = symbol[func()](p, "PrintI")
	return o, err
}

// symbol looks a name up and checks that it is what the host expects.
func symbol[T any](p *plugin.Plugin, name string) (T, error) {
	found, err := p.Lookup(name)
	if err != nil {
		var zero T
		return zero, err
	}
	typed, ok := found.(T)
	if !ok {
		return typed, fmt.Errorf("symbol %s is a %T, want %T", name, found, typed)
	}
	return typed, nil
}
