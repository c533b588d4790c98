// SPDX-License-Identifier: MPL-2.0

package gen

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExamplesAreUpToDate holds that what is committed is what would be written.
func TestExamplesAreUpToDate(t *testing.T) {
	for _, dir := range []string{"../examples/calculator", "../examples/pricing"} {
		if err := Run(t.Context(), Options{Dir: dir, Check: true}); err != nil {
			t.Errorf("%s:\n%v", dir, err)
		}
	}
}

const greeter = `package greet

// Greeter greets.
type Greeter interface {
	Greet(name string) (string, error)
}
`

// contract writes a module with a contract, and returns its directory.
func contract(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	edit(t, dir, "go.mod", "module greet.test\n\ngo 1.26.0\n")
	edit(t, dir, "greet.go", source)
	return dir
}

func edit(t *testing.T, dir, name, source string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestBreaking holds that a change which breaks peers is neither written nor passes the
// check, until the version counts up or the record is gone.
func TestBreaking(t *testing.T) {
	dir := contract(t, greeter)
	check := func(o Options) error {
		o.Dir = dir
		return Run(t.Context(), o)
	}
	if err := check(Options{}); err != nil {
		t.Fatal(err)
	}
	if err := check(Options{Check: true}); err != nil {
		t.Errorf("nothing has changed: %v", err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "contract.json"))
	if err != nil {
		t.Fatal(err)
	}
	edit(t, dir, "last.json", string(before))
	edit(t, dir, "greet.go", strings.Replace(greeter, "name string", "", 1))
	for _, o := range []Options{{}, {Check: true}, {Against: filepath.Join(dir, "last.json")}} {
		err := check(o)
		if !errors.Is(err, ErrBreaking) || !strings.Contains(err.Error(), "Greet lost parameter name: breaking for version 1") {
			t.Errorf("%+v: got %v", o, err)
		}
	}
	if after, err := os.ReadFile(filepath.Join(dir, "contract.json")); err != nil || string(after) != string(before) {
		t.Errorf("the record has changed (%v):\n%s", err, after)
	}
	edit(t, dir, "greet.go", "//reattach:version=2\n"+strings.Replace(greeter, "name string", "", 1))
	if err := check(Options{}); err != nil {
		t.Errorf("another version may be another contract: %v", err)
	}
	if err := check(Options{Against: filepath.Join(dir, "last.json")}); err != nil {
		t.Errorf("a record of an older version is no bound: %v", err)
	}
	edit(t, dir, "greet.go", greeter)
	if err := check(Options{}); err == nil || !strings.Contains(err.Error(), "versions count up") {
		t.Errorf("got %v, want that versions count up", err)
	}
}

// TestStale holds that the check tells what is not as it would be written, and that files of
// an interface that is gone are removed.
func TestStale(t *testing.T) {
	dir := contract(t, greeter+"\n// Waver waves.\ntype Waver interface{ Wave() error }\n")
	if err := Run(t.Context(), Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	edit(t, dir, "waver.reattach.go", "package greet\n")
	err := Run(t.Context(), Options{Dir: dir, Check: true})
	if !errors.Is(err, ErrStale) || !strings.Contains(err.Error(), "waver.reattach.go") {
		t.Errorf("got %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "contract.json")); err != nil {
		t.Fatal(err)
	}
	edit(t, dir, "greet.go", greeter)
	if err := Run(t.Context(), Options{Dir: dir, Check: true}); !errors.Is(err, ErrStale) || !strings.Contains(err.Error(), "waver.reattach.go is not up to date: its interface is gone") {
		t.Errorf("an interface is gone: got %v", err)
	}
	if err := Run(t.Context(), Options{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "waver.reattach.go")); err == nil {
		t.Error("waver.reattach.go is still there")
	}
}

const shop = `syntax = "proto3";
package acme.shop.v1;
service Shop {
  rpc Find(FindRequest) returns (Item) { option idempotency_level = IDEMPOTENT; }
}
message FindRequest { string name = 1; }
message Item { int64 price = 1; }
`

// TestProto holds that a contract may begin with a .proto file, whose messages are compared
// by their numbers, and that what it cannot be is refused.
func TestProto(t *testing.T) {
	dir := contract(t, "package shop\n")
	generate := func(source string) error {
		edit(t, dir, "shop.proto", source)
		return Run(t.Context(), Options{Dir: dir, Interfaces: []string{"shop.proto"}})
	}
	if err := generate(shop); err != nil {
		t.Fatal(err)
	}
	kinds, err := os.ReadFile(filepath.Join(dir, "shophost", "shophost.go"))
	if err != nil || !strings.Contains(string(kinds), `WithMethod("Find", stub.CallOptions{Idempotent: true})`) {
		t.Errorf("the method is not idempotent (%v):\n%s", err, kinds)
	}
	if err := generate(strings.Replace(shop, "string name = 1;", "string name = 1; repeated string tags = 2;", 1)); err != nil {
		t.Errorf("a new field: %v", err)
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"a number": {"int64 price = 1", "int64 price = 2", "Item has field price as number 2, not 1: breaking"},
		"a type":   {"int64 price = 1", "string price = 1", "Item has field price as string, not int64: breaking"},
		"a method": {"rpc Find", "rpc Seek", "method Find is gone: breaking"},
		"package":  {"package acme.shop.v1;", "", "shop.proto:1: it needs a package"},
		"foreign": {"syntax = \"proto3\";\npackage acme.shop.v1;", "syntax = \"proto3\";\npackage acme.shop.v1;\nimport \"acme/items.proto\";",
			"shop.proto:3:8: could not resolve path \"acme/items.proto\": a contract is one file"},
		"another message":     {"rpc Find(FindRequest)", "rpc Find(Item)", "Find takes acme.shop.v1.Item, not acme.shop.v1.FindRequest: breaking"},
		"nothing":             {"package acme.shop.v1;\nservice Shop {\n  rpc Find(FindRequest)", "package acme.shop.v1;\nimport \"google/protobuf/empty.proto\";\nservice Shop {\n  rpc Find(google.protobuf.Empty)", "Find takes google.protobuf.Empty, not acme.shop.v1.FindRequest: breaking"},
		"a stream":            {"returns (Item)", "returns (stream Item)", "Find gives stream acme.shop.v1.Item, not acme.shop.v1.Item: breaking"},
		"syntax":              {"service Shop", "servce Shop", "shop.proto:3:"},
		"a generated name":    {"service Shop", "service Serve", "shop.proto:3:1: service Serve: a generated file declares this name"},
		"another one":         {"service Shop", "service Version", "service Version: a generated file declares this name"},
		"the name of a kind":  {"service Shop", "service ShopKind { rpc Do(Item) returns (Item); }\nservice Shop", "service ShopKind: what carries service Shop declares"},
		"a service not in Go": {"service Shop", "service shop", "service shop becomes an interface of Go"},
		"a method not in Go":  {"rpc Find", "rpc find", "method find becomes one of an interface"},
	} {
		if err := generate(strings.Replace(shop, c.from, c.to, 1)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}
