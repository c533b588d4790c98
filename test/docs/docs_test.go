// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docs

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestCommands runs every block of commands of every page, and says how many there are,
// where each was run, and why one was not.
func TestCommands(t *testing.T) {
	all, ci := pages(t), steps(t)
	dir := checkout(t)
	var run, compared, cluster, byCI int
	var not []string
	for _, page := range slices.Sorted(maps.Keys(all)) {
		blocks := all[page]
		t.Run(page, func(t *testing.T) {
			var s *Shell
			for i, b := range blocks {
				if b.Marks["file"] != "" {
					s = of(t, s, dir)
					place := filepath.Join(dir, s.here(b.Marks["file"]))
					if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(place, []byte(s.here(b.Text)), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				switch reason := b.Marks["not run"]; {
				case !b.Commands():
					continue
				case reason != "":
					not = append(not, fmt.Sprintf("%s: %s", b, reason))
					continue
				case b.InCluster():
					cluster++
					continue
				case ofCI(b, ci):
					byCI++
					continue
				}
				output := Output(blocks, i)
				if output != nil || slices.ContainsFunc(split(b), func(c command) bool { return c.shown }) {
					compared++
				}
				run++
				s = of(t, s, dir)
				if err := s.Run(t.Context(), b, output); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	fmt.Fprintf(t.Output(), "%d pages: %d blocks of commands run here, %d of them with their output compared; "+
		"%d are steps of .ci/run, %d are run in a cluster, %d cannot be run:\n  %s\n",
		len(all), run, compared, byCI, cluster, len(not), strings.Join(not, "\n  "))
}

// of gives the shell of a page, which is made when it is needed.
func of(t *testing.T, s *Shell, dir string) *Shell {
	t.Helper()
	if s == nil {
		s = shell(t, dir)
	}
	return s
}

// TestOutputs holds that an output follows the commands that print it, or names the
// tests that compare it: these must read the page.
func TestOutputs(t *testing.T) {
	for page, blocks := range pages(t) {
		for i, b := range blocks {
			if b.Language != "output" {
				continue
			}
			by := b.Marks["printed"]
			if by == "" {
				if i == 0 || !blocks[i-1].Commands() {
					t.Errorf("%s: nothing above it prints this", b)
				}
				continue
			}
			tests, err := filepath.Glob(filepath.Join(root, by, "*_test.go"))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(tests, func(file string) bool {
				raw, err := os.ReadFile(file)
				return err == nil && strings.Contains(string(raw), page)
			}) {
				t.Errorf("%s: no test in %s reads this page", b, by)
			}
		}
	}
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		page, stdout, stderr string
		ok                   bool
	}{
		"equal":                       {page: "a\nb\n", stdout: "a\nb\n", ok: true},
		"another line":                {page: "a\nb\n", stdout: "a\nc\n"},
		"a line more":                 {page: "a\n", stdout: "a\nb\n"},
		"a line less":                 {page: "a\nb\n", stdout: "a\n"},
		"times differ":                {page: "took 3m2s\n", stdout: "took 12.5ms\n", ok: true},
		"numbers do not":              {page: "took 3\n", stdout: "took 4\n"},
		"dates differ":                {page: "at 2026-01-02T03:04:05Z\n", stdout: "at 2027-11-12T13:14:15.6Z\n", ok: true},
		"process ids differ":          {page: `{"Pid":4711}`, stdout: `{"Pid":12}`, ok: true},
		"any text":                    {page: "1|unix|…|grpc|\n", stdout: "1|unix|/tmp/x|grpc|\n", ok: true},
		"any text, and another end":   {page: "1|…|grpc|\n", stdout: "1|x|netrpc|\n"},
		"any lines":                   {page: "a\n…\nd\n", stdout: "a\nb\nc\nd\n", ok: true},
		"any lines, and another last": {page: "a\n…\nd\n", stdout: "a\nb\nc\n"},
		"stderr may be shown":         {page: "log\na\n", stdout: "a\n", stderr: "x\nlog\n", ok: true},
		"stderr need not be":          {page: "a\n", stdout: "a\n", stderr: "log\n", ok: true},
		"stderr in another order":     {page: "y\nx\n", stderr: "x\ny\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := compare(c.page, c.stdout, c.stderr); (err == nil) != c.ok {
				t.Errorf("compare gives %v", err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"no language":      "```\nx\n```\n",
		"unknown language": "```perl\nx\n```\n",
		"no end":           "```sh\nx\n",
		"indentation":      "text\n\n    $ x\n",
		"mark without any": "<!-- not run: why -->\n\ntext\n",
	} {
		t.Run(name, func(t *testing.T) {
			if blocks, err := parse("p.md", text); err == nil {
				t.Errorf("it is taken as %+v", blocks)
			}
		})
	}
	blocks, err := parse("p.md", "1. a\n\n   ```sh\n   x\n     y\n   ```\n\n    still the item\n")
	if err != nil || len(blocks) != 1 || blocks[0].Text != "x\n  y\n" {
		t.Errorf("a block in a list is %+v, %v", blocks, err)
	}
}
