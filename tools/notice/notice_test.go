// SPDX-License-Identifier: MPL-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEveryModuleOfABinary(t *testing.T) {
	out := filepath.Join(t.TempDir(), "NOTICE")
	if err := run(".", []string{"linux", "windows"}, []string{"../images"}, out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"github.com/google/go-containerregistry v", "Apache License"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the notice lacks %q", want)
		}
	}
	if strings.Contains(string(text), "github.com/reattach/") {
		t.Error("the notice names a module of this repository")
	}
}

func TestAModuleWithoutLicence(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "NOTICE"), []byte("by its authors"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := write(new(strings.Builder), map[string]module{"example.com/x": {Path: "example.com/x", Version: "v1.0.0", Dir: dir}})
	if err == nil || !strings.Contains(err.Error(), "example.com/x v1.0.0: no licence") {
		t.Errorf("error is %v", err)
	}
}

func TestPackagesThatAreNone(t *testing.T) {
	err := run(".", []string{"linux"}, []string{"./nothing"}, "")
	if err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("error is %v", err)
	}
}
