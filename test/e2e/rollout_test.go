// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// grace is the preStop of the plugin's pods: how long hosts have to learn that a pod
// leaves, before the plugin itself is told.
const grace = 2 * time.Second

// processes gives the containers of the plugin's pods and how often each was restarted.
func processes(t *testing.T, namespace string) []string {
	t.Helper()
	all := strings.Split(kubectl(t, "get", "pods", "-n", namespace, "-l", "app.kubernetes.io/name=pluginzh", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[0].containerID} restarts={.status.containerStatuses[0].restartCount}{"\n"}{end}`), "\n")
	slices.Sort(all)
	return all
}

// instances gives what the host's sessions say of the processes at their other end.
func instances(url string) []string {
	var all []string
	for _, e := range endpointsOf(url) {
		all = append(all, e.Instance)
	}
	slices.Sort(all)
	return all
}

// TestRollout restarts and scales the plugin, and restarts the host, under constant calls.
func TestRollout(t *testing.T) {
	const name = "e2e-roll"
	l, pods, url := underLoad(t, name)
	begun := time.Now()
	kubectl(t, "rollout", "restart", "-n", name, "deployment/pluginzh")
	rolled(t, name, "pluginzh")
	t.Logf("rollout of three pods: %s", time.Since(begun).Round(time.Millisecond))
	for _, n := range []int{6, 1, 3} {
		kubectl(t, "scale", "-n", name, "deployment/pluginzh", fmt.Sprintf("--replicas=%d", n))
		rolled(t, name, "pluginzh")
		t.Logf("scaled to %d: attached %s after the rollout was over", n, untilReady(t, url, n).Round(time.Millisecond))
		pods.untilAllCalled(t)
	}
	until(t, "the pods that leave are gone", func() bool { return len(processes(t, name)) == 3 })
	pods.end(t, l.begun, grace)

	before, known := processes(t, name), instances(url)
	host := kubectl(t, "get", "pods", "-n", name, "-l", "app.kubernetes.io/name=basic", "-o", "name")
	kubectl(t, "rollout", "restart", "-n", name, "deployment/basic")
	rolled(t, name, "basic")
	says(t, []string{"logs", "-n", name, "deployment/basic"}, "您好", "pong!")
	kubectl(t, "wait", "-n", name, host, "--for=delete", "--timeout=90s")
	if now := kubectl(t, "get", "pods", "-n", name, "-l", "app.kubernetes.io/name=basic", "-o", "name"); now == host {
		t.Errorf("the host is %s still: this test shows nothing", now)
	}
	if after := processes(t, name); !slices.Equal(after, before) {
		t.Errorf("the host's own rollout changed the plugin's containers from\n%s\nto\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if after := instances(url); len(after) != 3 || !slices.Equal(after, known) {
		t.Errorf("the host's own rollout changed the plugin's processes from %s to %s", known, after)
	}
	t.Logf("after the host's own rollout the plugin has the same processes, %s:\n%s", known, strings.Join(before, "\n"))
	l.end(t)
}

// TestForcedDelete kills pods without warning under calls of an idempotent method.
func TestForcedDelete(t *testing.T) {
	const name = "e2e-force"
	l, pods, url := underLoad(t, name)
	for range 3 {
		pod := kubectl(t, "get", "pods", "-n", name, "-l", "app.kubernetes.io/name=pluginzh", "-o", "jsonpath={.items[0].metadata.name}")
		kubectl(t, "delete", "pod", "-n", name, pod, "--force", "--grace-period=0")
		rolled(t, name, "pluginzh")
		untilReady(t, url, 3)
		pods.untilAllCalled(t)
	}
	l.end(t)
}
