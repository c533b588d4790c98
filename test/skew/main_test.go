// SPDX-License-Identifier: MPL-2.0

// Package skew runs hosts and plugins of this tree against those of an earlier commit: the
// last release, once there is one. Both are compiled from the same source, that of the
// peers below, each with its own library.
package skew

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

var (
	all        = flag.Bool("all", false, "every way of upgrading, and for longer")
	commitFlag = flag.String("commit", "", "the commit to compare with, in the place of the last release")
)

// side is the commit that a peer is built from.
type side string

const (
	old     side = "old"
	current side = "new"
)

// patience is how long a test waits for what ought to take moments.
const patience = 60 * time.Second

// bin has a directory of programs for each side, set once before any test runs.
var bin string

func TestMain(m *testing.M) {
	flag.Parse()
	code, err := buildAndRun(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func buildAndRun(m *testing.M) (int, error) {
	commit, why, err := earlier()
	if err != nil {
		return 0, err
	}
	if why != "" {
		fmt.Println("test/skew is skipped:", why)
		return 0, nil
	}
	dir, err := os.MkdirTemp("", "reattach-skew")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	bin = dir
	if err := build(commit, dir); err != nil {
		return 0, err
	}
	fmt.Printf("old peers are built from %.12s\n", commit)
	return m.Run(), nil
}
