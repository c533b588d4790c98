// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"fmt"
	"path/filepath"
)

// Discover returns the absolute paths in dir that match the glob pattern, in
// lexical order. It does not look at the files themselves. A pattern that is
// malformed is an error; a directory that does not exist holds nothing.
func Discover(glob, dir string) ([]string, error) {
	root, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("discover plugins in %s: %w", dir, err)
	}
	return filepath.Glob(filepath.Join(root, glob))
}
