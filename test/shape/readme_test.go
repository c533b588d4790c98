// SPDX-License-Identifier: MPL-2.0

package shape

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the repository, seen from this package.
const root = "../.."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// commands gives what a page tells people to type: the lines of its code blocks
// marked sh, without comments.
func commands(page string) []string {
	var found []string
	inside := false
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "```"):
			inside = !inside && line == "```sh"
		case inside && line != "" && !strings.HasPrefix(line, "#"):
			found = append(found, line)
		}
	}
	return found
}

// words finds every NAME that follows prefix at the start of a word.
func words(prefix string, in string) []string {
	var found []string
	for _, m := range regexp.MustCompile(`(?:^|\s)`+regexp.QuoteMeta(prefix)+`([a-z][\w.-]*)`).FindAllStringSubmatch(in, -1) {
		found = append(found, m[1])
	}
	return found
}

// TestCommandsExist holds that what the pages tell people to run is there, and that
// CI runs each make target that the README promises.
func TestCommandsExist(t *testing.T) {
	makefile, ci, build := read(t, "Makefile"), read(t, ".ci/run"), read(t, "scripts/build.sh")
	ciRuns := strings.Fields(strings.Join(linesWith(ci, "make "), " "))
	for _, page := range []string{"README.md", "docs/compatibility.md", "docs/reference.md"} {
		typed := commands(read(t, page))
		if len(typed) == 0 {
			t.Errorf("%s: no command was found", page)
		}
		for _, command := range typed {
			for _, target := range words("make ", command) {
				if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(target) + `:`).MatchString(makefile) {
					t.Errorf("%s: %q: the Makefile has no target %s", page, command, target)
				}
				if !slices.Contains(ciRuns, target) {
					t.Errorf("%s: %q: .ci/run does not run make %s", page, command, target)
				}
			}
			for _, binary := range words("./bin/", command) {
				if !strings.Contains(build, `"$out/`+binary+`"`) {
					t.Errorf("%s: %q: scripts/build.sh does not build %s", page, command, binary)
				}
			}
		}
	}
}

// TestEnvironmentIsDocumented holds that the reference lists what the host reads.
func TestEnvironmentIsDocumented(t *testing.T) {
	page := read(t, "docs/reference.md")
	variables := regexp.MustCompile(`envconfig:"([A-Z_]+)"`).FindAllStringSubmatch(read(t, "host/cli/config.go"), -1)
	if len(variables) == 0 {
		t.Fatal("no variable was found in host/cli/config.go")
	}
	for _, v := range variables {
		if !strings.Contains(page, "`"+v[1]+"`") {
			t.Errorf("docs/reference.md does not mention %s", v[1])
		}
	}
}

func linesWith(text, part string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			found = append(found, line)
		}
	}
	return found
}
