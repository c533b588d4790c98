// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// file gives what docs/kubernetes.md has people write into a file.
func file(t *testing.T, name string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?s)<!-- file: " + regexp.QuoteMeta(name) + " -->\n```yaml\n(.*?)```").FindSubmatch(page)
	if m == nil {
		t.Fatalf("docs/kubernetes.md has no %s", name)
	}
	return string(m[1])
}

// TestPage holds that what docs/kubernetes.md says of an installation gives pods whose
// images all come from a registry, and certificates and policies for each of them.
func TestPage(t *testing.T) {
	chart, err := render(t, file(t, "plugins.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	deploy, err := filepath.Abs("../../deploy")
	if err == nil {
		deploy, err = filepath.Rel(dir, deploy)
	}
	text := strings.ReplaceAll(file(t, "production/kustomization.yaml"), "../deploy", deploy)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		objects map[string]object
		names   []string
	}{
		"plugins.yaml": {chart, []string{"basic", "pluginzh", "store"}},
		"production":   {kustomizeBuild(t, dir), []string{"basic", "pluginzh"}},
	} {
		for _, of := range c.names {
			pod := at(c.objects["Deployment/"+of], "spec.template.spec")
			if image, _ := at(pod, "containers.0.image").(string); image != "registry.example.org/"+of+":1" {
				t.Errorf("%s: the image of %s is %q", name, of, image)
			}
			if secret := at(pod, "volumes.0.secret.secretName"); secret != of+"-tls" {
				t.Errorf("%s: %s has the Secret %v", name, of, secret)
			}
			if c.objects["NetworkPolicy/"+of] == nil {
				t.Errorf("%s: %s has no NetworkPolicy", name, of)
			}
		}
	}
}
