// SPDX-License-Identifier: MPL-2.0

package gen

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
)

// scaffolded are the templates of reattach new plugin that the files of the calculator began
// as.
var scaffolded = map[string]string{
	"calculator.go":       "common/NAME.go.tmpl",
	"daemon/main.go":      "both/host/main.go.tmpl",
	"plugin/main.go":      "both/plugin/main.go.tmpl",
	"plugin/main_test.go": "plugin/plugin/main_test.go.tmpl",
}

// TestCalculatorByHand counts the lines of examples/calculator that people write, and
// holds that docs/generator.md says how many there are: of code, which is neither blank nor
// a comment, of all, and of those that are not as the scaffold writes them.
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
	table, code, all, own := "| file | of code | all lines | not the scaffold's |\n|---|---:|---:|---:|\n", 0, 0, 0
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
		name = filepath.ToSlash(name)
		o := a - common(slices.Collect(strings.Lines(raw)), slices.Collect(strings.Lines(scaffold(t, name))))
		table += fmt.Sprintf("| `%s` | %d | %d | %d |\n", name, c, a, o)
		code, all, own = code+c, all+a, own+o
	}
	table += fmt.Sprintf("| together | %d | %d | %d |\n", code, all, own)
	if code > 80 || own > 80 {
		t.Errorf("%d lines of code, and %d of all that the scaffold does not write, are written by hand: want at most 80", code, own)
	}
	page, err := os.ReadFile("../../docs/generator.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), table) {
		t.Errorf("docs/generator.md does not have this table:\n%s", table)
	}
}

// scaffold gives a file as reattach new plugin calculator writes it.
func scaffold(t *testing.T, name string) string {
	t.Helper()
	from := scaffolded[name]
	if from == "" {
		return "" // it is by hand as a whole
	}
	text, err := template.New(name).Delims("<%", "%>").Option("missingkey=error").
		Parse(readFile(t, filepath.Join("../../cmd/reattach/scaffold/templates", filepath.FromSlash(from))))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	const contract = "example.com/calculator"
	if err := text.Execute(&b, map[string]any{
		"Kind": "plugin", "Name": "calculator", "Pkg": "calculator", "Type": "Calculator", "Module": contract, "Import": contract, "Foreign": nil,
	}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// common counts the lines that two files have in the same order, as diff does.
func common(a, b []string) int {
	before := make([]int, len(b)+1)
	for _, line := range a {
		now := make([]int, len(b)+1)
		for j, other := range b {
			now[j+1] = max(before[j+1], now[j])
			if line == other {
				now[j+1] = before[j] + 1
			}
		}
		before = now
	}
	return before[len(b)]
}
