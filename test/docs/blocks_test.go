// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docs

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"

	"github.com/reattach/reattach/host/shim/attach"
)

// TestGo holds that each block of Go is lines of a file of this repository, which its
// module's tests build, so that what people copy compiles.
func TestGo(t *testing.T) {
	sources := map[string]string{}
	for _, dir := range []string{"commons", "host", "pluginso", "examples", "forks/go-plugin", "test/gen"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") {
				return err
			}
			raw, err := os.ReadFile(path)
			sources[path] = flat(string(raw))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	count := 0
	for page, blocks := range pages(t) {
		for _, b := range blocks {
			// The README's is held by host/daemon, which writes it.
			if b.Language != "go" || page == "README.md" {
				continue
			}
			count++
			found := false
			for _, source := range sources {
				found = found || strings.Contains(source, flat(b.Text))
			}
			if !found {
				t.Errorf("%s: no file has these lines:\n%s", b, b.Text)
			}
		}
	}
	if count < 5 {
		t.Errorf("%d blocks of Go were found", count)
	}
}

// flat leaves indentation and blank lines out of a source.
func flat(source string) string {
	var out strings.Builder
	out.WriteByte('\n')
	for line := range strings.Lines(source) {
		if line = strings.TrimSpace(line); line != "" {
			out.WriteString(line + "\n")
		}
	}
	return out.String()
}

// TestYAML reads each block of YAML strictly as what its mark says that it is.
func TestYAML(t *testing.T) {
	for _, blocks := range pages(t) {
		for _, b := range blocks {
			if b.Language != "yaml" || b.Marks["file"] != "" {
				continue
			}
			var err error
			switch like := b.Marks["like"]; like {
			case "PodSpec":
				err = podSpec(b.Text)
			case "attach.Settings":
				d := yaml.NewDecoder(bytes.NewReader([]byte(b.Text)))
				d.KnownFields(true)
				err = d.Decode(&attach.Settings{})
			default:
				t.Errorf("%s: it is like %q: want PodSpec or attach.Settings", b, like)
			}
			if err != nil {
				t.Errorf("%s: %v", b, err)
			}
		}
	}
}

// podSpec reads a part of a manifest, and takes no field that Kubernetes does not know.
func podSpec(text string) error {
	var loose map[string]any
	if err := yaml.Unmarshal([]byte(text), &loose); err != nil {
		return err
	}
	raw, err := json.Marshal(loose)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	return d.Decode(&corev1.PodSpec{})
}

// TestGoMod holds that a module which takes the place of another is in this repository.
func TestGoMod(t *testing.T) {
	line := regexp.MustCompile(`^replace \S+ => github\.com/reattach/reattach/(\S+) (\S+)$`)
	for _, blocks := range pages(t) {
		for _, b := range blocks {
			if b.Language != "gomod" {
				continue
			}
			for _, text := range lines(b.Text) {
				m := line.FindStringSubmatch(text)
				if m == nil {
					t.Errorf("%s: %q is no replacement by a module of this repository", b, text)
					continue
				}
				if _, err := os.Stat(filepath.Join(root, m[1], "go.mod")); err != nil {
					t.Errorf("%s: %v", b, err)
				}
				// scripts/release.sh tags it so, and holds that pages name the tag.
				if !strings.HasPrefix(m[2], "v1.8.0-reattach.") {
					t.Errorf("%s: %s is no version of the fork", b, m[2])
				}
			}
		}
	}
}
