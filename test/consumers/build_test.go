// SPDX-License-Identifier: MPL-2.0

package consumers

import (
	"debug/buildinfo"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// side is the library that a program is built with.
type side string

const (
	upstream side = "upstream"
	fork     side = "fork"
)

// sides are both, the one that defines the truth first.
func sides() []side { return []side{upstream, fork} }

// built builds the programs of both sides once for all tests, into a directory
// for each side, and beside these the program basic. They stay there: what is up to
// date is not linked again the next time.
var built = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs("../../build/consumers")
	if err != nil {
		return "", fmt.Errorf("find the directory for the programs: %w", err)
	}
	for s, modfile := range map[side]string{upstream: "go.mod", fork: "fork.mod"} {
		for _, module := range []string{".", "terraform011", "velero"} {
			cmd := exec.Command("go", "build", "-C", module, "-ldflags=-s -w", "-modfile="+modfile, "-o", filepath.Join(dir, string(s))+"/", "./peer/...")
			if out, err := cmd.CombinedOutput(); err != nil {
				return "", fmt.Errorf("build the programs of %s in %s: %w\n%s", s, module, err, out)
			}
		}
	}
	cmd := exec.Command("go", "build", "-C", "../..", "-o", filepath.Join(dir, "basic"), "./host")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build basic: %w\n%s", err, out)
	}
	return dir, nil
})

// program returns the path of a built program.
func program(t *testing.T, s side, name string) string {
	t.Helper()
	return filepath.Join(directory(t), string(s), name)
}

// basic returns the path of the host program of this repository.
func basic(t *testing.T) string {
	t.Helper()
	return filepath.Join(directory(t), "basic")
}

func directory(t *testing.T) string {
	t.Helper()
	dir, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// The rest of the tests is worth nothing if both sides are the same library.
func TestProgramsAreWhatTheyAreCalled(t *testing.T) {
	for _, s := range sides() {
		var names []string
		for _, c := range consumers() {
			names = append(names, c.pluginName(), c.hostName())
		}
		for _, name := range names {
			info, err := buildinfo.ReadFile(program(t, s, name))
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, dep := range info.Deps {
				if dep.Path != "github.com/hashicorp/go-plugin" {
					continue
				}
				found = true
				if replaced := dep.Replace != nil; replaced != (s == fork) {
					t.Errorf("%s of %s: go-plugin is replaced: %v", name, s, replaced)
				}
			}
			if !found {
				t.Errorf("%s of %s is built without go-plugin", name, s)
			}
		}
	}
}
