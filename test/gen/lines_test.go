// SPDX-License-Identifier: MPL-2.0

package gen

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCalculatorByHand counts the lines of examples/calculator that people write, and
// holds that docs/generator.md says how many there are: of code, which is neither blank nor
// a comment, and of all.
func TestCalculatorByHand(t *testing.T) {
	const dir = "../../examples/calculator"
	var files []string
	for _, pattern := range []string{"*.go", "*/*.go"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	table, code, all := "| file | of code | all lines |\n|---|---:|---:|\n", 0, 0
	for _, file := range files {
		raw := readFile(t, file)
		if strings.Contains(raw, "// Code generated ") {
			continue
		}
		c, a := 0, 0
		for line := range strings.Lines(raw) {
			a++
			if line = strings.TrimSpace(line); line != "" && (!strings.HasPrefix(line, "//") || strings.HasPrefix(line, "//reattach:") || strings.HasPrefix(line, "//go:")) {
				c++
			}
		}
		name, err := filepath.Rel(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		table += fmt.Sprintf("| `%s` | %d | %d |\n", filepath.ToSlash(name), c, a)
		code, all = code+c, all+a
	}
	table += fmt.Sprintf("| together | %d | %d |\n", code, all)
	if code > 80 {
		t.Errorf("%d lines of code are written by hand, want at most 80", code)
	}
	page, err := os.ReadFile("../../docs/generator.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), table) {
		t.Errorf("docs/generator.md does not have this table:\n%s", table)
	}
}
