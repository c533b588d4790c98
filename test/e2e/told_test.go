// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// metric gives the value of a series, or -1.
func metric(url, series string) float64 {
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(get(url + "/metrics"))
	if m == nil {
		return -1
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return -1
	}
	return v
}

// TestOneRefusedAmongHundreds has 300 endpoints that attach at once, and one that is
// refused: what is worth an Event is not crowded out.
func TestOneRefusedAmongHundreds(t *testing.T) {
	node := ownNode(t)
	const name = "e2e-refused"
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	kubectl(t, "delete", "service", "pluginzh", "-n", name)
	kubectl(t, "scale", "-n", name, "deployment/pluginzh", "--replicas=1")
	apply(t, strings.NewReplacer("IMAGE", image("pluginzh-version1"), "name: pluginzh, labels: {app.kubernetes.io/name: pluginzh}", "name: old").Replace(podWithoutProbe), "-n", name)
	rolled(t, name, "pluginzh")
	kubectl(t, "wait", "-n", name, "pod/old", "--for=condition=Ready", "--timeout=120s")
	good := podsOf(t, name, 1)[0]
	// The good pod answers at 300 addresses.
	within(t, processOf(t, name, good), "ip", "route", "add", "local", "10.201.0.0/16", "dev", "lo")
	within(t, nodeProcess(t, node), "ip", "route", "replace", "10.201.0.0/16", "via", addressOf(t, name, good))
	url := caller(t, name, "caller", "CONTRACT_VERSIONS=2")
	apply(t, writtenService("many", writtenSlice("many", "many-a", 0, 100), writtenSlice("many", "many-b", 100, 100), writtenSlice("many", "many-c", 200, 100),
		fmt.Sprintf(`---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: many-old, labels: {kubernetes.io/service-name: many}}
addressType: IPv4
ports: [{name: plugin, port: 7000, protocol: TCP}]
endpoints: [{addresses: [%s], conditions: {ready: true}}]
`, addressOf(t, name, "old"))), "-n", name)
	until(t, "300 are ready", func() bool { return metric(url, `reattach_endpoints{plugin="many",state="READY"}`) == 300 })
	says(t, []string{"describe", "service", "many", "-n", name}, "VersionRefused")
	t.Logf("of the Events %v were dropped", metric(url, "reattach_kubernetes_events_dropped_total"))
}

// TestWhatIsNoPlugin labels a Service of a web server and an ExternalName: each gets one
// Event and one line of the log, and calls to it fail at once.
func TestWhatIsNoPlugin(t *testing.T) {
	const name = "e2e-noplugin"
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	rolled(t, name, "basic", "pluginzh")
	web := kubectl(t, "get", "pods", "-n", name, "-l", "app.kubernetes.io/name=basic", "-o", "jsonpath={.items[0].status.podIP}")
	url := caller(t, name, "caller")
	untilReady(t, url, 2)
	apply(t, `
apiVersion: v1
kind: Service
metadata: {name: far, labels: {reattach.dev/plugin: "true"}}
spec: {type: ExternalName, externalName: example.org}
---
`+writtenService("web", fmt.Sprintf(`---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: plugin, port: 8080, protocol: TCP}]
endpoints: [{addresses: [%s], conditions: {ready: true}}]
`, web)), "-n", name)
	client := &http.Client{Timeout: 40 * time.Second}
	for service, want := range map[string]struct{ event, line string }{
		"far": {"Misconfigured", "ExternalName"},
		"web": {"Refused", "web server"},
	} {
		says(t, []string{"describe", "service", service, "-n", name}, want.event, want.line)
		begun := time.Now()
		if err := callPlugin(client, url, service); err == nil || !strings.Contains(err.Error(), want.line) {
			t.Errorf("a call to %s gave %v", service, err)
		}
		if took := time.Since(begun); took > time.Second {
			t.Errorf("a call to %s failed after %s", service, took)
		}
		if n := strings.Count(kubectl(t, "get", "events", "-n", name, "-o", "jsonpath={.items[*].reason}"), want.event); n > 2 {
			t.Errorf("%d Events %s; want one from each of the two hosts", n, want.event)
		}
		lines := 0
		for line := range strings.Lines(kubectl(t, "logs", "-n", name, "caller")) {
			if strings.Contains(line, "[WARN]") && strings.Contains(line, want.line) {
				lines++
			}
		}
		if lines != 1 {
			t.Errorf("%d warnings about %s are in the log", lines, service)
		}
	}
}
