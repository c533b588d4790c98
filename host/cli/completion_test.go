// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// trap puts an executable into bin/ of a new working directory, and gives the file that it
// makes if anything runs it.
func trap(t *testing.T) (sprung string) {
	t.Helper()
	t.Chdir(t.TempDir())
	sprung = filepath.Join(t.TempDir(), "sprung")
	script := "#!/bin/sh\n: >" + sprung + "\n"
	if err := errors.Join(os.Mkdir("bin", 0o755), os.WriteFile("bin/x.po", []byte(script), 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"PLUGIN_DIR", "NETWORK_PLUGIN"} {
		t.Setenv(name, "") // so that it is as it was, afterwards
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	return sprung
}

func hasRun(t *testing.T, sprung string) bool {
	t.Helper()
	_, err := os.Stat(sprung)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

// TestCompletionStartsNothing holds that whoever presses the key for completion runs no
// plugin, and is told the names of those that there are files of.
func TestCompletionStartsNothing(t *testing.T) {
	sprung := trap(t)
	o := basic()
	o.PluginDir = "./bin"
	for _, args := range [][]string{{"call", ""}, {"describe", ""}, {"events", "--plugin", ""}} {
		if got := line(t, o, exitOK, append([]string{"__complete"}, args...)...); !strings.HasPrefix(got, "x\n") {
			t.Errorf("%q: %q, want x", args, got)
		}
	}
	if got := line(t, o, exitOK, "__complete", "call", "x", ""); !strings.HasPrefix(got, ":") {
		t.Errorf("methods of x: %q, want none", got)
	}
	if hasRun(t, sprung) {
		t.Error("completion has run bin/x.po")
	}
	line(t, o, exitUnreachable, "plugins")
	if !hasRun(t, sprung) {
		t.Error("plugins has not run bin/x.po, so that nothing was tested")
	}
}

// TestNoDirectoryByDefault holds that a program which names no directory runs nothing of the
// one that somebody happens to be in.
func TestNoDirectoryByDefault(t *testing.T) {
	sprung := trap(t)
	for _, command := range []string{"plugins", "events", "doctor"} {
		line(t, anyPlugin(), exitUnreachable, command)
	}
	if hasRun(t, sprung) {
		t.Error("bin/x.po has run")
	}
}
