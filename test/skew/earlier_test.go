// SPDX-License-Identifier: MPL-2.0

package skew

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// earlier says which commit the peers of earlier are built from, as scripts/earlier.sh does
// for the cluster's tests as well. If the checkout does not have it, why says what would.
func earlier() (commit, why string, err error) {
	if *commitFlag != "" {
		return *commitFlag, "", nil
	}
	out, err := exec.Command(filepath.Join(root, "scripts", "earlier.sh")).Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 77 {
		return "", strings.TrimSpace(string(exit.Stderr)), nil
	}
	if err != nil {
		return "", "", fmt.Errorf("scripts/earlier.sh: %w", err)
	}
	return strings.TrimSpace(string(out)), "", nil
}

// root is the repository, seen from this package.
const root = "../.."

// unpack puts the tree of a commit into dir.
func unpack(commit, dir string) error {
	var failed, failedToo bytes.Buffer // each its own: both are written at once
	archive := exec.Command("git", "-C", root, "archive", commit)
	tar := exec.Command("tar", "-x", "-C", dir)
	archive.Stderr, tar.Stderr = &failed, &failedToo
	pipe, err := archive.StdoutPipe()
	if err != nil {
		return err
	}
	tar.Stdin = pipe
	if err := archive.Start(); err != nil {
		return err
	}
	if err := tar.Run(); err != nil {
		_ = archive.Wait()
		return fmt.Errorf("unpack %s: %w\n%s", commit, err, &failedToo)
	}
	if err := archive.Wait(); err != nil {
		return fmt.Errorf("git archive %s: %w\n%s", commit, err, &failed)
	}
	return nil
}

// peers are the packages of a peer; they are copied into the earlier tree, so that both
// sides are compiled from the same source and with the dependencies that they had.
var peers = []string{"desk", "host", "plugin"}

// build builds the peers of both sides below dir, and the shipped programs.
func build(commit, dir string) error {
	before := filepath.Join(dir, "tree")
	if err := os.Mkdir(before, 0o700); err != nil {
		return err
	}
	if err := unpack(commit, before); err != nil {
		return err
	}
	for _, p := range peers {
		to := filepath.Join(before, "test", "skew", p)
		if err := os.RemoveAll(to); err != nil { // a release has its own
			return err
		}
		if err := os.CopyFS(to, os.DirFS(p)); err != nil {
			return err
		}
	}
	for side, tree := range map[side]string{old: before, current: root} {
		bin := filepath.Join(dir, string(side)) + string(filepath.Separator)
		for _, args := range [][]string{
			{"build", "-trimpath", "-ldflags=-X main.build=" + string(side), "-o", bin, "./test/skew/host", "./test/skew/plugin"},
			{"build", "-trimpath", "-o", filepath.Join(bin, "basic"), "./host"},
			{"build", "-trimpath", "-o", filepath.Join(bin, "greeter-zh.po"), "./pluginzh"},
		} {
			cmd := exec.Command("go", args...)
			cmd.Dir, cmd.Env = tree, append(os.Environ(), "CGO_ENABLED=0")
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("build the peers of %s: %w\n%s", side, err, out)
			}
		}
	}
	return nil
}
