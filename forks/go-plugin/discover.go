// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Discover returns the absolute paths in dir that match the glob pattern, in
// lexical order. It does not look at the files themselves. A pattern that is
// malformed is filepath.ErrBadPattern; a directory that does not exist holds
// nothing. Only glob is a pattern, whatever the name of dir looks like.
func Discover(glob, dir string) ([]string, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("discover plugins in %s: %w", dir, err)
	}
	glob = filepath.Clean(glob)
	if _, err := filepath.Match(glob, ""); err != nil {
		return nil, err
	}
	return globIn(root, glob), nil
}

// globIn is filepath.Glob below a directory that is taken literally.
func globIn(root, glob string) []string {
	parent, last := filepath.Split(glob)
	parents := []string{root}
	if parent = strings.Trim(parent, string(filepath.Separator)); parent != "" {
		parents = globIn(root, parent)
	}
	var found []string
	for _, dir := range parents {
		if !strings.ContainsAny(last, `*?[\`) {
			path := filepath.Join(dir, last)
			if _, err := os.Lstat(path); err == nil {
				found = append(found, path)
			}
			continue
		}
		entries, _ := os.ReadDir(dir) // In lexical order. What cannot be read holds nothing.
		for _, entry := range entries {
			if ok, _ := filepath.Match(last, entry.Name()); ok {
				found = append(found, filepath.Join(dir, entry.Name()))
			}
		}
	}
	return found
}
