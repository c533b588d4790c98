// SPDX-License-Identifier: MPL-2.0

package kit

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Section holds that a page has text between two marks, or, with write, puts it there.
// script is what writes it.
func Section(t *testing.T, page, begin, end, text, script string, write bool) {
	t.Helper()
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, opened := strings.Cut(string(raw), begin)
	written, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("%s has no place between %q and %q", page, begin, end)
	}
	if write {
		if err := os.WriteFile(page, []byte(before+begin+text+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(text, written); diff != "" {
		t.Errorf("run %s: (-code +%s)\n%s", script, page, diff)
	}
}
