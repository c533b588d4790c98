// SPDX-License-Identifier: MPL-2.0

package doctor_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/reattach/reattach/host/doctor"
)

// TestPages holds that each code has a page, a hop and advice, each page a code, and the
// list of pages all of them.
func TestPages(t *testing.T) {
	const dir = "../../docs/errors"
	index, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"README.md": true}
	for _, code := range doctor.Codes() {
		name := string(code) + ".md"
		known[name] = true
		page, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		f := doctor.Find(code, "seen")
		if !regexp.MustCompile(`^RA0[1-6]\d\d$`).MatchString(string(code)) || f.Hop == "" || f.Do == "" || !strings.HasSuffix(f.Page, "/docs/errors/"+name) {
			t.Errorf("%s: %+v", code, f)
		}
		for _, want := range []string{
			fmt.Sprintf("# %s: %s\n\nHop `%s`. ", code, code.Title(), code.Hop()),
			fmt.Sprintf("\n%s %s: ", code, code.Hop()),
			"\n## What to do\n\n1. ",
		} {
			if !strings.Contains(string(page), want) {
				t.Errorf("%s lacks %q", name, want)
			}
		}
		if row := fmt.Sprintf("| [%s](%s) | %s | %s |\n", code, name, code.Hop(), code.Title()); !strings.Contains(string(index), row) {
			t.Errorf("README.md lacks %q", row)
		}
	}
	pages, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if !known[page.Name()] {
			t.Errorf("%s is the page of no code", page.Name())
		}
	}
}
