// SPDX-License-Identifier: MPL-2.0

package shape

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestKrew holds that the manifest for krew has each archive that a release makes, under
// its name and with its checksum, and is not made where one lacks.
func TestKrew(t *testing.T) {
	var release struct {
		Builds   []struct{ Goos, Goarch []string }
		Archives []struct {
			NameTemplate    string `yaml:"name_template"`
			Formats         []string
			FormatOverrides []struct {
				Goos    string
				Formats []string
			} `yaml:"format_overrides"`
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, ".goreleaser.yaml")), &release); err != nil {
		t.Fatal(err)
	}
	archive, build := release.Archives[0], release.Builds[0]
	want := make(map[string]string) // checksums by name
	var sums strings.Builder
	for _, system := range build.Goos {
		for _, processor := range build.Goarch {
			format := archive.Formats[0]
			for _, o := range archive.FormatOverrides {
				if o.Goos == system {
					format = o.Formats[0]
				}
			}
			name := strings.NewReplacer("{{ .Version }}", "1.2.3", "{{ .Os }}", system, "{{ .Arch }}", processor).Replace(archive.NameTemplate) + "." + format
			want[name] = fmt.Sprintf("%064d", len(want)+1)
			fmt.Fprintf(&sums, "%s  %s\n", want[name], name)
		}
	}
	file := filepath.Join(t.TempDir(), "SHA256SUMS")
	if err := os.WriteFile(file, []byte(sums.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("../../scripts/krew.sh", "v1.2.3", file).Output()
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Kind string
		Spec struct {
			Version   string
			Platforms []struct{ URI, Sha256, Bin string }
		}
	}
	if err := yaml.Unmarshal(out, &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.Kind != "Plugin" || manifest.Spec.Version != "v1.2.3" {
		t.Errorf("it is a %s of version %s", manifest.Kind, manifest.Spec.Version)
	}
	for _, p := range manifest.Spec.Platforms {
		from, name, _ := strings.Cut(p.URI, "/v1.2.3/")
		if from != "https://github.com/reattach/reattach/releases/download" || want[name] == "" || p.Sha256 != want[name] ||
			!strings.HasPrefix(p.Bin, "reattach") {
			t.Errorf("%+v is no archive of a release, which are %v", p, want)
		}
		delete(want, name)
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
	for _, sums := range []string{"", "0  another.tar.gz\n"} {
		if err := os.WriteFile(file, []byte(sums), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("../../scripts/krew.sh", "v1.2.3", file).CombinedOutput(); err == nil || !strings.Contains(string(out), "no checksum of reattach_1.2.3") {
			t.Errorf("with the checksums %q: %v, %s", sums, err, out)
		}
	}
}
