// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// exposedPatch makes pods of the plugin those of an image that Dockerfile.expose has made:
// the child's socket lies in a volume, since the root is read-only.
const exposedPatch = `
patches:
  - target: {kind: Deployment, name: pluginzh}
    patch: |
      - {op: add, path: /spec/template/spec/volumes, value: [{name: sockets, emptyDir: {sizeLimit: 1Mi}}]}
      - {op: add, path: /spec/template/spec/containers/0/volumeMounts, value: [{name: sockets, mountPath: /plugin-sockets}]}
`

// exposed renders deploy/ with a plugin that nobody has changed in the plugin's place.
func exposed(t *testing.T) string {
	t.Helper()
	own, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	below, err := filepath.Rel(own, kustomization(t, ""))
	if err == nil {
		err = os.WriteFile(filepath.Join(own, "kustomization.yaml"), []byte("resources:\n  - "+below+exposedPatch), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(kubectl(t, "kustomize", own), image("pluginzh"), image("greeter-exposed"))
}

// TestExposed has a plugin of the original library serve the cluster from an image that was
// made of its own by Dockerfile.expose: in pods without any right, with a read-only root,
// probed over HTTP, and rolled out under calls.
func TestExposed(t *testing.T) {
	const name = "e2e-exposed"
	namespace(t, name)
	manifests := exposed(t)
	apply(t, manifests, "-n", name)
	kubectl(t, "scale", "-n", name, "deployment/pluginzh", "--replicas=3")
	rolled(t, name, "basic", "pluginzh")
	says(t, []string{"logs", "-n", name, "deployment/basic", "-c", "basic"}, "Unchanged hello", "Unchanged hi (2)")
	if left := kubectl(t, "get", "pods", "-n", name, "-l", "app.kubernetes.io/name=pluginzh", "-o",
		"jsonpath={.items[*].spec.containers[*].securityContext.readOnlyRootFilesystem} {.items[*].spec.securityContext.runAsNonRoot}"); strings.Contains(left, "false") || len(strings.Fields(left)) != 6 {
		t.Errorf("the pods' roots are read-only, and their users are not root: %s", left)
	}
	url := caller(t, name, "caller")
	untilReady(t, url, 3)
	l := begin(url, 4)
	for range 2 {
		kubectl(t, "rollout", "restart", "-n", name, "deployment/pluginzh")
		rolled(t, name, "pluginzh")
		untilReady(t, url, 3)
	}
	l.end(t)
	notRestarted(t, name)
	log := kubectl(t, "logs", "-n", name, "-l", "app.kubernetes.io/name=pluginzh", "--tail=-1")
	if !strings.Contains(log, "message from greeter.Hi") {
		t.Errorf("the pods' logs have nothing of what the plugin writes:\n%.2000s", log)
	}
}

// TestImageVolumeSums compares what a host's pod has mounted, an executable or a shared
// object, with the checksum that lies beside it in the image, on the node. Nobody can write to
// it there.
func TestImageVolumeSums(t *testing.T) {
	if os.Getenv("E2E_NODE") == "" {
		t.Skip("the node is another machine: its processes cannot be looked at")
	}
	for _, c := range []struct{ overlay, mounted, file, greets string }{
		{"image-volume", "/plugins/pluginzh", "pluginzh.po", "您好"},
		{"shared-object", "/plugins/greeter-so", "greeter-so.so", "Hi there!"},
	} {
		t.Run(c.overlay, func(t *testing.T) {
			name := "e2e-sums-" + c.overlay
			namespace(t, name)
			apply(t, overlay(t, "overlays/"+c.overlay), "-n", name)
			rolled(t, name, "basic")
			says(t, []string{"logs", "-n", name, "deployment/basic"}, c.greets)
			id := kubectl(t, "get", "pods", "-n", name, "-l", "app.kubernetes.io/name=basic", "-o", "jsonpath={.items[0].status.containerStatuses[0].containerID}")
			_, id, _ = strings.Cut(id, "://")
			process := processOfContainer(t, id)
			sums, err := os.ReadFile(process + "/root" + c.mounted + "/SHA256SUMS")
			if err != nil {
				t.Fatal(err)
			}
			binary, err := os.ReadFile(process + "/root" + c.mounted + "/" + c.file)
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("%x  %s\n", sha256.Sum256(binary), c.file); string(sums) != want {
				t.Errorf("SHA256SUMS says %q, want %q", sums, want)
			}
			mounts, err := os.ReadFile(process + "/mountinfo")
			if err != nil || !regexp.MustCompile(` `+c.mounted+` ro[ ,]`).Match(mounts) {
				t.Errorf("%s is not mounted read-only: %v\n%s", c.mounted, err, mounts)
			}
			t.Logf("mounted read-only into the host's pod: %s", sums)
		})
	}
}

// processOfContainer finds the directory in /proc of a process of a container.
func processOfContainer(t *testing.T, container string) string {
	t.Helper()
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range groups {
		if raw, err := os.ReadFile(path); err == nil && strings.Contains(string(raw), container) {
			return filepath.Dir(path)
		}
	}
	t.Fatalf("no process belongs to the container %s", container)
	return ""
}
