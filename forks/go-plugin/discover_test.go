// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hashicorp/go-plugin"
)

// TestDiscover finds the same files whatever their directory is called.
func TestDiscover(t *testing.T) {
	for _, name := range []string{"plain", "pd[prod]", "a*b", "what?", `back\slash`, "[", "[a-z]"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), name)
			if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{"b.po", "a.po", "c.so", ".hidden.po", "sub/d.po"} {
				if err := os.WriteFile(filepath.Join(dir, file), nil, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink("nowhere", filepath.Join(dir, "dangling.po")); err != nil {
				t.Fatal(err)
			}
			for glob, want := range map[string][]string{
				"*.po":          {".hidden.po", "a.po", "b.po", "dangling.po"},
				"a.po":          {"a.po"},
				"dangling.po":   {"dangling.po"},
				"*/d.po":        {"sub/d.po"},
				"sub/../[ab].*": {"a.po", "b.po"},
				"/a.po":         {"a.po"},
				"":              {"."},
				"none*":         nil,
			} {
				var paths []string
				for _, file := range want {
					paths = append(paths, filepath.Join(dir, file))
				}
				got, err := plugin.Discover(glob, dir)
				if diff := cmp.Diff(paths, got); diff != "" || err != nil {
					t.Errorf("%q: %v (-want +got)\n%s", glob, err, diff)
				}
			}
			if _, err := plugin.Discover("[", dir); err != filepath.ErrBadPattern {
				t.Errorf("malformed: %v", err)
			}
		})
	}
	if got, err := plugin.Discover("*", filepath.Join(t.TempDir(), "none")); got != nil || err != nil {
		t.Errorf("no such directory: %q, %v", got, err)
	}
}
