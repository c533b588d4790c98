// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestFrozenPod stops one of three pods under calls of an idempotent method that have ten
// seconds. Kubernetes withdraws it after some six; its calls must then move on.
func TestFrozenPod(t *testing.T) {
	ownNode(t)
	const name = "e2e-frozen"
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	kubectl(t, "scale", "-n", name, "deployment/pluginzh", "--replicas=3")
	rolled(t, name, "pluginzh")
	url := caller(t, name, "caller", "CALL_TIMEOUT=10s")
	untilReady(t, url, 3)
	l := begin(url, 16)
	frozen := podsOf(t, name, 3)[0]
	signal(t, name, frozen, syscall.SIGSTOP)
	begun := time.Now()
	until(t, "Kubernetes has noticed", func() bool {
		ready := kubectl(t, "get", "pod", frozen, "-n", name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
		return ready == "False"
	})
	noticed := time.Since(begun)
	timer := time.NewTimer(15 * time.Second)
	<-timer.C
	l.end(t)
	longest := time.Duration(l.longest.Load())
	t.Logf("Kubernetes noticed after %s; the longest call took %s", noticed.Round(time.Millisecond), longest.Round(time.Millisecond))
	if longest > 9*time.Second {
		t.Errorf("a call took %s", longest)
	}
}

// TestMendedInPlace gives a refused pod another image, which leaves its UID as it was.
func TestMendedInPlace(t *testing.T) {
	const name = "e2e-mended"
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	kubectl(t, "delete", "deployment", "pluginzh", "-n", name)
	apply(t, strings.NewReplacer("IMAGE", image("pluginzh-version1")).Replace(podWithoutProbe), "-n", name)
	url := caller(t, name, "caller", "CONTRACT_VERSIONS=2")
	until(t, "it is refused", func() bool { return strings.Contains(get(url+"/api/v1/plugins/pluginzh"), `"permanent":true`) })
	begun := time.Now()
	kubectl(t, "set", "image", "-n", name, "pod/pluginzh", "plugin="+image("pluginzh"))
	untilReady(t, url, 1)
	took := time.Since(begun)
	t.Logf("attached %s after kubectl set image", took.Round(time.Millisecond))
	if took > time.Minute {
		t.Errorf("it took %s", took)
	}
}

const podWithoutProbe = `
apiVersion: v1
kind: Pod
metadata: {name: pluginzh, labels: {app.kubernetes.io/name: pluginzh}}
spec:
  enableServiceLinks: false
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: 5
  securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: plugin
      image: IMAGE
      ports: [{name: plugin, containerPort: 7000}]
      securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
`

// TestKilledContainer kills the process of a pod, which comes back in its pod: that is a
// reconnect, although the pod was not ready in between.
func TestKilledContainer(t *testing.T) {
	ownNode(t)
	const name = "e2e-killed"
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	kubectl(t, "scale", "-n", name, "deployment/pluginzh", "--replicas=1")
	rolled(t, name, "pluginzh")
	url := caller(t, name, "caller")
	untilReady(t, url, 1)
	before := instances(url)
	signal(t, name, podsOf(t, name, 1)[0], syscall.SIGKILL)
	until(t, "it is attached again", func() bool {
		now := instances(url)
		return len(now) == 1 && now[0] != before[0] && endpointsOf(url)[0].State == "READY"
	})
	if got := metric(url, `reattach_reconnects_total{plugin="pluginzh"}`); got < 1 {
		t.Errorf("reattach_reconnects_total is %v", got)
	}
	if got := get(url + "/api/v1/plugins/pluginzh"); !strings.Contains(got, `"restarts":1`) {
		t.Errorf("the API says %s", got)
	}
}

// TestDeadPlugin has 64 callers wait for a plugin that has no pod, beside a healthy one.
func TestDeadPlugin(t *testing.T) {
	node := ownNode(t)
	const name = "e2e-dead"
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	apply(t, writtenService("dead"), "-n", name)
	kubectl(t, "create", "secret", "generic", "token", "-n", name, "--from-literal=token="+token)
	rolled(t, name, "pluginzh")
	callingPod(t, name, "caller", "BASIC_LISTEN=:8080", "BASIC_TOKEN_FILE=/secrets/token", "CALL_TIMEOUT=20s")
	url := through(t, node, addressOf(t, name, "caller")+":8080")
	untilReady(t, url, 2)
	client := &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 100}}
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() { _ = callPlugin(client, url, "dead") })
	}
	until(t, "they wait", func() bool { return metric(url, `reattach_calls_waiting{plugin="dead"}`) >= 60 })
	var longest time.Duration
	for range 50 {
		begun := time.Now()
		if err := call(client, url); err != nil {
			t.Fatal(err)
		}
		longest = max(longest, time.Since(begun))
	}
	t.Logf("beside 64 callers of a dead plugin the longest of 50 calls to a healthy one took %s", longest.Round(time.Microsecond))
	if longest > 100*time.Millisecond {
		t.Errorf("a call took %s", longest)
	}
	callers.Wait()
}

// TestIPv6 reaches a pod of the default image by its second family.
func TestIPv6(t *testing.T) {
	ownNode(t)
	const name = "e2e-ipv6"
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	kubectl(t, "scale", "-n", name, "deployment/pluginzh", "--replicas=1")
	rolled(t, name, "pluginzh")
	address := ipv6Of(t, processOf(t, name, podsOf(t, name, 1)[0]))
	apply(t, writtenService("six", fmt.Sprintf(`---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: six, labels: {kubernetes.io/service-name: six}}
addressType: IPv6
ports: [{name: plugin, port: 7000, protocol: TCP}]
endpoints: [{addresses: ["%s"], conditions: {ready: true}}]
`, address)), "-n", name)
	url := caller(t, name, "caller")
	took := until(t, "the endpoint is ready", func() bool {
		return strings.Contains(get(url+"/api/v1/plugins/six"), `"state":"READY"`)
	})
	t.Logf("[%s]:7000 was READY %s after the host", address, took.Round(time.Millisecond))
}

// TestNamesComeAndGo makes four times a hundred Services of one pod, each of which the
// host greets, and deletes them.
func TestNamesComeAndGo(t *testing.T) {
	const name, each = "e2e-names", 100
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	kubectl(t, "scale", "-n", name, "deployment/pluginzh", "--replicas=1")
	rolled(t, name, "basic", "pluginzh")
	pod := addressOf(t, name, podsOf(t, name, 1)[0])
	url := port(t, name, "deployment/basic", "8080")
	known := func() int { return strings.Count(get(url+"/api/v1/plugins"), `"name":"came-`) }
	greeted := func() int {
		return strings.Count(kubectl(t, "logs", "-n", name, "deployment/basic"), "pong!")
	}
	rest := metric(url, "go_goroutines")
	begun := greeted()
	for round := range 4 {
		var all strings.Builder
		for i := range each {
			service := fmt.Sprintf("came-%d-%d", round, i)
			all.WriteString("---\n" + writtenService(service, fmt.Sprintf(`---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %[1]s, labels: {kubernetes.io/service-name: %[1]s}}
addressType: IPv4
ports: [{name: plugin, port: 7000, protocol: TCP}]
endpoints: [{addresses: [%[2]s], conditions: {ready: true}}]
`, service, pod)))
		}
		apply(t, all.String(), "-n", name)
		until(t, "all are greeted", func() bool { return greeted() >= begun+(round+1)*each })
		if out, err := try(t.Context(), all.String(), "delete", "-n", name, "-f", "-", "--wait=false"); err != nil {
			t.Fatalf("kubectl delete: %v\n%s", err, out)
		}
		until(t, "all are gone", func() bool { return known() == 0 })
		t.Logf("after %d names: %v goroutines, %.0f MB", (round+1)*each, metric(url, "go_goroutines"), metric(url, "process_resident_memory_bytes")/1e6)
	}
	until(t, "the goroutines are as before, give or take a twentieth", func() bool { return metric(url, "go_goroutines") <= rest*1.05+1 })
}
