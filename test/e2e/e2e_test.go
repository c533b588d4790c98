// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestThreeCommands types what the documentation tells people to type.
func TestThreeCommands(t *testing.T) {
	t.Cleanup(func() {
		dump(t, "default")
		_, _ = try(context.Background(), "", "delete", "pod/basic", "pod/pluginzh", "service/pluginzh", "--ignore-not-found", "--wait=false")
	})
	// Pods are refused until the controllers have made the default service account.
	until(t, "the default service account", func() bool {
		_, err := try(t.Context(), "", "get", "serviceaccount", "default")
		return err == nil
	})
	begun := time.Now()
	kubectl(t, "run", "pluginzh", "--image="+image("pluginzh"), "--env=BASIC_PLUGIN=hello", "--env=PLUGIN_LOG_LEVEL=debug", "--port=7000")
	kubectl(t, "expose", "pod", "pluginzh", "--port=7000", "--target-port=7000")
	kubectl(t, "run", "basic", "--image="+image("basic"), "--env=NETWORK_PLUGIN=pluginzh:7000")
	says(t, []string{"logs", "basic"}, "您好", "pong!")
	t.Logf("from the first command to the greeting: %s", time.Since(begun).Round(time.Millisecond))
	t.Logf("kubectl logs basic:\n%s", kubectl(t, "logs", "basic"))
	kubectl(t, "delete", "pod", "basic")
	left := kubectl(t, "get", "pod", "pluginzh", "-o", "jsonpath={.status.phase} {.status.containerStatuses[0].restartCount}")
	if left != "Running 0" {
		t.Errorf("after the host is gone the plugin is %q, want Running with 0 restarts", left)
	}
	log := kubectl(t, "logs", "pluginzh")
	if !strings.Contains(log, "message from greeter.Greet") {
		t.Errorf("the plugin's log does not tell of the greeting:\n%s", log)
	}
	t.Logf("after kubectl delete pod basic the plugin is %q; kubectl logs pluginzh:\n%s", left, log)
}

// TestDeploy applies deploy/, and looks at what people then look at.
func TestDeploy(t *testing.T) {
	const name = "e2e-deploy"
	namespace(t, name)
	begun := time.Now()
	apply(t, overlay(t, ""), "-n", name)
	says(t, []string{"logs", "-n", name, "deployment/basic"}, "您好", "pong!")
	t.Logf("from apply to the greeting: %s", time.Since(begun).Round(time.Millisecond))
	rolled(t, name, "basic", "pluginzh")
	service := []string{"describe", "service", "pluginzh", "-n", name}
	says(t, service, "Attached", "attached to 10.")
	_, events, _ := strings.Cut(kubectl(t, service...), "Events:")
	t.Logf("kubectl describe service pluginzh:%s", events)
	host := port(t, name, "deployment/basic", "8080")
	untilReady(t, host, 2)
	memory := usage(t, host).memory
	limit := kubectl(t, "get", "deployment", "basic", "-n", name, "-o", "jsonpath={.spec.template.spec.containers[0].resources.limits.memory}")
	t.Logf("the host's resident memory is %.0f MB, its limit %s", memory/1e6, limit)
	if metrics := get(host + "/metrics"); !strings.Contains(metrics, "go_gc_gomemlimit_bytes 5.12e+08") {
		t.Errorf("the host's collector does not keep to 512 MB, which is 95 %% of %s", limit)
	}
	notRestarted(t, name)
}

// notRestarted holds that no container of a namespace was.
func notRestarted(t *testing.T, namespace string) {
	t.Helper()
	if got := kubectl(t, "get", "pods", "-n", namespace, "-o", "jsonpath={.items[*].status.containerStatuses[*].restartCount}"); strings.Trim(got, "0 ") != "" {
		t.Errorf("restart counts are %s, want 0", got)
	}
}

// TestLabel takes the label that makes a Service a plugin away and puts it back.
func TestLabel(t *testing.T) {
	const name = "e2e-label"
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	rolled(t, name, "pluginzh")
	host := caller(t, name, "caller")
	untilReady(t, host, 2)
	client := &http.Client{Timeout: 40 * time.Second}
	kubectl(t, "label", "service", "pluginzh", "-n", name, "reattach.dev/plugin-")
	gone := until(t, "the plugin is gone", func() bool { return strings.Contains(get(host+"/api/v1/plugins"), `"plugins":[]`) })
	if err := call(client, host); err == nil {
		t.Error("a plugin that is gone is called all the same")
	}
	kubectl(t, "label", "service", "pluginzh", "-n", name, "reattach.dev/plugin=true")
	back := until(t, "a call is answered", func() bool { return call(client, host) == nil })
	t.Logf("detached %s after kubectl had removed the label; the first call was answered %s after it had put it back",
		gone.Round(time.Millisecond), back.Round(time.Millisecond))
	notRestarted(t, name)
}
