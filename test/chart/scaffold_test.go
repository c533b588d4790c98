// SPDX-License-Identifier: MPL-2.0

package chart

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
)

// scaffolded writes deploy/ as reattach new KIND store does, and gives its directory.
func scaffolded(t *testing.T, kind string) string {
	t.Helper()
	from, to := "../../cmd/reattach/scaffold/templates/"+kind+"/deploy", t.TempDir()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text, err := template.New(path).Delims("<%", "%>").Option("missingkey=error").Parse(string(raw))
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, strings.TrimSuffix(path, ".tmpl"))
		if err != nil {
			return err
		}
		var b strings.Builder
		if err := text.Execute(&b, map[string]any{
			"Name": "store", "Pkg": "store", "Type": "Store", "EnvPrefix": "STORE_HOST", "Foreign": nil,
		}); err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o755); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), []byte(b.String()), 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// TestScaffold holds that kustomize and Helm make the same objects of what reattach new
// writes, and that Helm has nothing to say against it.
func TestScaffold(t *testing.T) {
	for kind, deployment := range map[string]string{"plugin": "Deployment/store", "host": "Deployment/store-host"} {
		t.Run(kind, func(t *testing.T) {
			dir := scaffolded(t, kind)
			for _, message := range lint.AllWithKubeVersion(dir+"/helm", nil, "plugins", nil).Messages {
				if message.Severity >= support.WarningSev {
					t.Error(message)
				}
			}
			got, err := renderChart(t, dir+"/helm", "replicas: 3\nmemory: 1Gi")
			if err != nil {
				t.Fatal(err)
			}
			for path, want := range map[string]any{"spec.replicas": 3, "spec.template.spec.containers.0.resources.limits.memory": "1Gi"} {
				if diff := cmp.Diff(want, at(got[deployment], path)); diff != "" {
					t.Errorf("%s (-want +got)\n%s", path, diff)
				}
			}
			if got, err = renderChart(t, dir+"/helm", ""); err != nil {
				t.Fatal(err)
			}
			want := kustomizeBuild(t, dir)
			if diff := cmp.Diff(want, got); diff != "" || len(want) != 2 {
				t.Errorf("%d objects (-kustomize +Helm)\n%s", len(want), diff)
			}
		})
	}
}

// TestScaffoldedPlugin holds that a plugin of reattach new can be one of the chart's plugins
// as well: its image, memory and Service have what its own manifests have.
func TestScaffoldedPlugin(t *testing.T) {
	own := kustomizeBuild(t, scaffolded(t, "plugin"))
	got, err := render(t, "plugins: [{name: store, image: \"store:dev\"}]")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"Deployment/store spec.replicas",
		"Deployment/store spec.template.spec.containers.0.image",
		"Deployment/store spec.template.spec.containers.0.resources.limits.memory",
		"Deployment/store spec.template.spec.containers.0.ports",
		"Service/store spec.ports",
	} {
		id, path, _ := strings.Cut(path, " ")
		if diff := cmp.Diff(at(own[id], path), at(got[id], path)); diff != "" {
			t.Errorf("%s %s (-scaffold +chart)\n%s", id, path, diff)
		}
	}
}
