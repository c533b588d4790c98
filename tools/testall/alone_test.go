// SPDX-License-Identifier: MPL-2.0

//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// noting is the test of a module that notes when it began and when it ended. Modules that are
// tested side by side wait for each other before they end.
const noting = `package noting

import (
	"os"
	"testing"
)

func note(t *testing.T, what string) {
	f, err := os.OpenFile(%[1]q, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(what + " %[2]s\n"); err != nil {
		t.Fatal(err)
	}
}

func TestNotes(t *testing.T) {
	note(t, "begin")
	if pipe := %[3]q; pipe != "" { // to open one waits for the other side
		f, err := os.OpenFile(pipe, %[4]s, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	note(t, "end")
}
`

// TestSideBySideAndAlone tests three modules: two that cannot end but side by side, and one
// that comes twice, each time by itself.
func TestSideBySideAndAlone(t *testing.T) {
	root := t.TempDir()
	log, pipe := filepath.Join(root, "log"), filepath.Join(root, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	module := func(name, pipe, opens string) string {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{
			"go.mod":    "module example.com/" + name + "\n\ngo 1.24\n",
			"a_test.go": fmt.Sprintf(noting, log, name, pipe, opens),
		} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	reads, writes, floods := module("reads", pipe, "os.O_RDONLY"), module("writes", pipe, "os.O_WRONLY"), module("floods", "", "0")
	flags := []string{"-count=1", "-timeout=2m"}
	c, failed := testAll([]string{reads, writes}, sideBySide, flags, io.Discard)
	alone, failedAlone := testAll([]string{floods, floods}, 1, flags, io.Discard)
	c.add(alone)
	if failed || failedAlone || c != (count{passed: 4}) {
		t.Fatalf("counted %+v, failed %v %v", c, failed, failedAlone)
	}
	noted, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(bytes.TrimSpace(noted)), "\n")
	slices.Sort(lines[:2])
	if got := strings.Join(lines[:2], ", "); got != "begin reads, begin writes" {
		t.Errorf("side by side: %v", lines)
	}
	if got := strings.Join(lines[4:], ", "); got != "begin floods, end floods, begin floods, end floods" {
		t.Errorf("alone: %v", lines)
	}
}
