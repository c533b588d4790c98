// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// helm runs it, and gives what it prints.
func helm(t *testing.T, args ...string) string {
	t.Helper()
	home := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "helm", args...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("helm %s: %v\n%s%s", strings.Join(args, " "), err, out, stderr.String())
	}
	return string(out)
}

// chartValues are those of a host that takes calls, and of two plugins that are one image:
// both show the certificate of the first.
const chartValues = `
host:
  image: HOST
  env: [{name: BASIC_NO_CALLS, value: "false"}, {name: BASIC_TOKEN_FILE, value: /secrets/token}]
  volumes: [{name: token, secret: {secretName: token}}]
  volumeMounts: [{name: token, mountPath: /secrets}]
plugins:
  - {name: pluginzh, image: PLUGIN}
  - {name: second, image: PLUGIN, replicas: 1, annotations: {reattach.dev/tls-server-name: pluginzh}}
tls: {enabled: true}
`

// chartOf gives that of a build, or the present one with the images of a build whose chart
// cannot be upgraded: it had other selectors, which no Deployment may change, or none.
func chartOf(b build) string {
	dir := filepath.Join(b.deploy, "helm/reattach")
	pod, err := os.ReadFile(filepath.Join(dir, "templates/_pod.tpl"))
	if err != nil || !strings.Contains(string(pod), `define "reattach.selector"`) {
		return "../../deploy/helm/reattach"
	}
	return dir
}

// TestUpgradeByHelm installs the chart with a list of plugins and TLS by Secrets, as
// another release than kustomize's, and upgrades it.
func TestUpgradeByHelm(t *testing.T) {
	if _, err := exec.LookPath("helm"); err != nil {
		t.Skip("there is no helm: test/e2e/kube/helm.sh builds it")
	}
	const name = "e2e-helm"
	namespace(t, name)
	kubectl(t, "create", "secret", "generic", "token", "-n", name, "--from-literal=token="+token)
	secrets(t, name)
	alike(t, name, "pluginzh-tls", "second-tls")
	t.Logf("helm %s lints: %s", strings.TrimSpace(helm(t, "version", "--short")), strings.TrimSpace(helm(t, "lint", "--strict", "../../deploy/helm/reattach")))
	upgraded(t, name, installer{
		plugins: []string{"pluginzh", "second"},
		install: func(t *testing.T, b build) {
			values := strings.NewReplacer("HOST", repository("basic")+":"+b.tag, "PLUGIN", repository("pluginzh")+":"+b.tag).Replace(chartValues)
			file := filepath.Join(t.TempDir(), "values.yaml")
			if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
				t.Fatal(err)
			}
			helm(t, "upgrade", "greeting", chartOf(b), "--install", "-n", name, "-f", file, "--wait", "--timeout=150s")
			if b.tag == "earlier" {
				return
			}
			host := port(t, name, "deployment/basic", "8080")
			for _, p := range []string{"pluginzh", "second"} {
				if got := get(host + "/api/v1/plugins/" + p); !strings.Contains(got, `"tls":"`) {
					t.Errorf("plugin %s is attached without TLS: %s", p, got)
				}
			}
		},
		remove: func(t *testing.T) { helm(t, "uninstall", "greeting", "-n", name, "--wait", "--timeout=120s") },
	})
}

// alike makes a Secret like another one.
func alike(t *testing.T, namespace, from, to string) {
	t.Helper()
	var secret map[string]any
	if err := json.Unmarshal([]byte(kubectl(t, "get", "secret", from, "-n", namespace, "-o", "json")), &secret); err != nil {
		t.Fatal(err)
	}
	secret["metadata"] = map[string]any{"name": to}
	text, err := json.Marshal(secret)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := try(context.Background(), string(text), "apply", "-n", namespace, "-f", "-"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
