// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestHints has two pods, of which the cluster means one for the host's node: all calls go
// there, and to the other one once that is gone.
func TestHints(t *testing.T) {
	const name = "e2e-hints"
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	kubectl(t, "delete", "service", "pluginzh", "-n", name)
	rolled(t, name, "pluginzh")
	pods := podsOf(t, name, 2)
	near, far := addressOf(t, name, pods[0]), addressOf(t, name, pods[1])
	node := kubectl(t, "get", "pod", pods[0], "-n", name, "-o", "jsonpath={.spec.nodeName}")
	endpoint := func(address, node string) string {
		return fmt.Sprintf("  - {addresses: [%s], conditions: {ready: true}, hints: {forNodes: [{name: %s}], forZones: [{name: west}]}}\n", address, node)
	}
	const slice = `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: pluginzh-hints, labels: {kubernetes.io/service-name: pluginzh}}
addressType: IPv4
ports: [{name: plugin, port: 7000, protocol: TCP}]
endpoints:
`
	apply(t, writtenService("pluginzh", slice, endpoint(near, node), endpoint(far, "elsewhere")), "-n", name)
	url := caller(t, name, "caller", "HOST_NODE="+node)
	untilReady(t, url, 2)
	client := &http.Client{Timeout: 40 * time.Second}
	// calls makes some, and counts those that came to the pod which is far.
	calls := func() (far int) {
		for range 50 {
			if err := call(client, url); err != nil {
				t.Fatal(err)
			}
		}
		for line := range strings.Lines(kubectl(t, "logs", "-n", name, pods[1])) {
			if strings.Contains(line, called) && strings.Contains(line, fmt.Sprintf(`"times":%d`, once)) {
				far++
			}
		}
		return far
	}
	if n := calls(); n != 0 {
		t.Errorf("%d of 50 calls went to the pod that is meant for another node", n)
	}
	apply(t, slice+endpoint(far, "elsewhere"), "-n", name)
	until(t, "the near pod is gone", func() bool { return len(endpointsOf(url)) == 1 })
	if n := calls(); n != 50 {
		t.Errorf("%d of 50 calls went to the only pod", n)
	}
}
