// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"cmp"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// image gives the name of an image of this run, as E2E_IMAGE_PREFIX and E2E_IMAGE_TAG say.
func image(name string) string {
	return cmp.Or(os.Getenv("E2E_IMAGE_PREFIX"), "docker.io/library/") + name + ":" + cmp.Or(os.Getenv("E2E_IMAGE_TAG"), "e2e")
}

// TestThreeCommands types what the README tells people to type.
func TestThreeCommands(t *testing.T) {
	t.Cleanup(func() {
		_, _ = try(context.Background(), "", "delete", "pod/basic", "pod/pluginzh", "service/pluginzh", "--ignore-not-found", "--wait=false")
	})
	// Pods are refused until the controllers have made the default service account.
	until(t, "the default service account", func() bool {
		_, err := try(t.Context(), "", "get", "serviceaccount", "default")
		return err == nil
	})
	begun := time.Now()
	kubectl(t, "run", "pluginzh", "--image="+image("pluginzh"), "--env=BASIC_PLUGIN=hello", "--port=7000")
	kubectl(t, "expose", "pod", "pluginzh", "--port=7000", "--target-port=7000")
	kubectl(t, "run", "basic", "--image="+image("basic"), "--env=NETWORK_PLUGIN=pluginzh:7000")
	says(t, []string{"logs", "basic"}, "您好", "pong!")
	t.Logf("from the first command to the greeting: %s", time.Since(begun).Round(time.Millisecond))
	t.Logf("kubectl logs basic:\n%s", kubectl(t, "logs", "basic"))
	kubectl(t, "delete", "pod", "basic")
	if got := kubectl(t, "get", "pod", "pluginzh", "-o", "jsonpath={.status.phase} {.status.containerStatuses[0].restartCount}"); got != "Running 0" {
		t.Errorf("after the host is gone the plugin is %q, want Running with 0 restarts", got)
	}
	if log := kubectl(t, "logs", "pluginzh"); log == "" {
		t.Error("the plugin's log is empty")
	}
}

// TestDeploy applies deploy/ where only restricted pods are admitted, and takes the label away and back.
func TestDeploy(t *testing.T) {
	namespace(t, "e2e-deploy")
	begun := time.Now()
	apply(t, overlay(t, ""), "-n", "e2e-deploy")
	logs := []string{"logs", "-n", "e2e-deploy", "deployment/basic"}
	says(t, logs, "您好", "pong!")
	t.Logf("from apply to the greeting: %s", time.Since(begun).Round(time.Millisecond))
	kubectl(t, "rollout", "status", "-n", "e2e-deploy", "deployment/basic", "deployment/pluginzh", "--timeout=90s")
	says(t, []string{"describe", "service", "pluginzh", "-n", "e2e-deploy"}, "Attached", "attached to 10.")
	host := port(t, "e2e-deploy", "deployment/basic", "8080")
	endpoints := func() string { return get(host + "/api/v1/plugins") }
	until(t, "two pods are listed", func() bool { return strings.Count(endpoints(), `:7000"`) >= 2 })
	kubectl(t, "label", "service", "pluginzh", "-n", "e2e-deploy", "reattach.dev/plugin-")
	gone := until(t, "the plugin is gone", func() bool { return !strings.Contains(endpoints(), `:7000"`) && endpoints() != "" })
	kubectl(t, "label", "service", "pluginzh", "-n", "e2e-deploy", "reattach.dev/plugin=true")
	back := until(t, "the plugin is back", func() bool { return strings.Contains(endpoints(), "READY") })
	t.Logf("detached %s after kubectl had removed the label, attached %s after it had put it back", gone.Round(time.Millisecond), back.Round(time.Millisecond))
	if got := kubectl(t, "get", "pods", "-n", "e2e-deploy", "-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}"); strings.Trim(got, "0 ") != "" {
		t.Errorf("restart counts are %s, want 0", got)
	}
	for _, dir := range []string{"overlays/mtls", "overlays/networkpolicy", "overlays/sidecar"} {
		apply(t, overlay(t, dir), "-n", "e2e-deploy", "--dry-run=server")
	}
}

// TestTLS greets with certificates, and shows that a host without one is refused.
func TestTLS(t *testing.T) {
	namespace(t, "e2e-tls")
	certs := exec.CommandContext(t.Context(), "../../deploy/overlays/mtls/certs.sh", t.TempDir())
	config := t.TempDir() + "/config"
	if raw, err := os.ReadFile(os.Getenv("KUBECONFIG")); err != nil || os.WriteFile(config, raw, 0o600) != nil {
		t.Fatalf("copy the kubeconfig: %v", err)
	}
	kubectl(t, "config", "--kubeconfig="+config, "set-context", "--current", "--namespace=e2e-tls")
	certs.Env = append(os.Environ(), "KUBECONFIG="+config)
	if out, err := certs.CombinedOutput(); err != nil {
		t.Fatalf("certs.sh: %v\n%s", err, out)
	}
	apply(t, overlay(t, "overlays/mtls"), "-n", "e2e-tls")
	says(t, []string{"logs", "-n", "e2e-tls", "deployment/basic"}, "您好", "pong!")
	// The same host without a certificate.
	plain := overlay(t, "")
	plain = plain[strings.Index(plain, "apiVersion: apps/v1"):]
	plain, _, _ = strings.Cut(plain, "\n---")
	apply(t, strings.ReplaceAll(plain, "name: basic\n", "name: basic-plain\n"), "-n", "e2e-tls")
	says(t, []string{"describe", "service", "pluginzh", "-n", "e2e-tls"}, "TLSRefused")
}
