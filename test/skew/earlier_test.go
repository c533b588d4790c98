// SPDX-License-Identifier: MPL-2.0

package skew

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// firstEarlier is the commit that hosts and plugins are compared with until there is a
// release: the last one whose peers know nothing of the feature mux.
const firstEarlier = "ab578a4499e4169a3a9f0c7514db2948612543ab"

// earlier says which commit the peers of earlier are built from: the last release before
// this commit, or firstEarlier. If the checkout has neither, it says why.
func earlier() (commit, why string) {
	if *commitFlag != "" {
		return *commitFlag, ""
	}
	if _, err := git("rev-parse", "--git-dir"); err != nil {
		return "", "this is no checkout of git, so there is no earlier commit to build from"
	}
	if tag, err := git("describe", "--tags", "--abbrev=0", "--match=v[0-9]*", "HEAD^"); err == nil {
		return tag, ""
	}
	if _, err := git("cat-file", "-e", firstEarlier+"^{commit}"); err != nil {
		return "", fmt.Sprintf("this checkout has no release tag and not commit %.7s (it is shallow): git fetch --unshallow --tags gets them", firstEarlier)
	}
	return firstEarlier, ""
}

func git(args ...string) (string, error) {
	out, err := exec.Command("git", append([]string{"-C", root}, args...)...).Output()
	return strings.TrimSpace(string(out)), err
}

// root is the repository, seen from this package.
const root = "../.."

// unpack puts the tree of a commit into dir.
func unpack(commit, dir string) error {
	var failed bytes.Buffer
	archive := exec.Command("git", "-C", root, "archive", commit)
	tar := exec.Command("tar", "-x", "-C", dir)
	archive.Stderr, tar.Stderr = &failed, &failed
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
		return fmt.Errorf("unpack %s: %w\n%s", commit, err, &failed)
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
