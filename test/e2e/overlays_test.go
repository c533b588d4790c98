// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// definitions are those of resources that overlays have and Kubernetes has not.
var definitions = map[string]string{
	"servicemonitors.monitoring.coreos.com": "ServiceMonitor",
	"podmonitors.monitoring.coreos.com":     "PodMonitor",
	"prometheusrules.monitoring.coreos.com": "PrometheusRule",
	"issuers.cert-manager.io":               "Issuer",
	"certificates.cert-manager.io":          "Certificate",
}

// define defines them, where the cluster does not have them already, until the test ends.
func define(t *testing.T) {
	t.Helper()
	template, err := os.ReadFile("testdata/definition.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, kind := range definitions {
		if _, err := try(t.Context(), "", "get", "crd", name); err == nil {
			continue
		}
		plural, group, _ := strings.Cut(name, ".")
		apply(t, strings.NewReplacer("PLURAL", plural, "GROUP", group, "KIND", kind).Replace(string(template)))
		t.Cleanup(func() { // and is gone then: another test may define it again
			_, _ = try(context.Background(), "", "delete", "crd", name, "--timeout=60s")
		})
		kubectl(t, "wait", "--for=condition=Established", "crd/"+name, "--timeout=60s")
	}
}

// overlays gives the directories of deploy/ that can be applied.
func overlays(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("../../deploy/overlays/*/kustomization.yaml")
	if err != nil || len(found) == 0 {
		t.Fatalf("no overlay was found: %v", err)
	}
	dirs := []string{""} // deploy/ itself
	for _, f := range found {
		dirs = append(dirs, "overlays/"+filepath.Base(filepath.Dir(f)))
	}
	return dirs
}

// configured writes a kubeconfig whose present namespace is another one, and gives its path.
func configured(t *testing.T, namespace string) string {
	t.Helper()
	raw, err := os.ReadFile(os.Getenv("KUBECONFIG"))
	config := filepath.Join(t.TempDir(), "config")
	if err == nil {
		err = os.WriteFile(config, raw, 0o600)
	}
	if err != nil {
		t.Fatalf("copy the kubeconfig: %v", err)
	}
	kubectl(t, "config", "--kubeconfig="+config, "set-context", "--current", "--namespace="+namespace)
	return config
}

// secrets makes those of the mtls overlays.
func secrets(t *testing.T, namespace string) {
	t.Helper()
	config := configured(t, namespace)
	certs := exec.CommandContext(t.Context(), "../../deploy/overlays/mtls/certs.sh")
	certs.Env = append(os.Environ(), "KUBECONFIG="+config, "CERTS_DIR="+t.TempDir())
	if out, err := certs.CombinedOutput(); err != nil {
		t.Fatalf("certs.sh: %v\n%s", err, out)
	}
}

// TestOverlays applies each directory of deploy/ to an empty namespace that admits
// restricted pods only, where a warning of the API server is an error.
func TestOverlays(t *testing.T) {
	define(t)
	for _, dir := range overlays(t) {
		if why := untried(t, dir); why != "" {
			t.Logf("deploy/%s is left out: %s", dir, why)
			continue
		}
		name := "e2e-as-" + filepath.Base("deploy/"+dir)
		namespace(t, name)
		out := kubectl(t, "apply", "-n", name, "-k", "../../deploy/"+dir, "--server-side", "--dry-run=server", "--warnings-as-errors")
		if strings.HasPrefix(dir, "overlays/mtls") || dir == "overlays/production" {
			secrets(t, name) // which cert-manager would make for one of them
		}
		if dir == "overlays/pod-certificates" {
			sign(t, name)
		}
		deployments := []string{"basic", "pluginzh"}
		greets := []string{"您好", "pong!"}
		switch dir {
		case "overlays/sidecar", "overlays/image-volume":
			deployments = deployments[:1]
		case "overlays/shared-object":
			deployments, greets = deployments[:1], []string{"greeter-so@/plugins/greeter-so/greeter-so.so", "Hello someone", "Hi there! =2="}
		}
		apply(t, overlay(t, dir), "-n", name)
		rolled(t, name, deployments...)
		says(t, []string{"logs", "-n", name, "deployment/basic", "-c", "basic"}, greets...)
		pods := kubectl(t, "get", "pods", "-n", name, "-o", "name")
		t.Logf("deploy/%s: the dry run takes %d objects; %d restricted pods are admitted, ready, and greet",
			dir, strings.Count(out, "serverside-applied"), len(strings.Fields(pods)))
	}
}

// untried says why a directory of deploy/ cannot be tried here, or nothing if it can.
func untried(t *testing.T, dir string) string {
	t.Helper()
	switch arch := os.Getenv("IMAGE_ARCH"); {
	case dir == "overlays/pod-certificates":
		return unsigned(t)
	case dir == "overlays/shared-object" && arch != "" && arch != runtime.GOARCH:
		// scripts/e2e.sh makes these images for its own architecture alone.
		return fmt.Sprintf("its images can be made on a machine of %s alone", arch)
	}
	return ""
}

// TestAdmission shows that the namespaces of these tests refuse what is not restricted.
func TestAdmission(t *testing.T) {
	namespace(t, "e2e-admission")
	_, err := try(t.Context(), "", "run", "-n", "e2e-admission", "unrestricted", "--image="+image("basic"))
	if err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
		t.Fatalf("a pod of kubectl run gave %v, want a refusal", err)
	}
	t.Logf("kubectl run, as the documentation has it, does not make restricted pods: %v", err)
}
