// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// writtenService gives a headless Service without pods, and slices written by hand.
func writtenService(name string, slices ...string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: %s, labels: {reattach.dev/plugin: "true"}}
spec: {clusterIP: None, ports: [{name: plugin, port: 7000}]}
`, name) + strings.Join(slices, "")
}

// writtenSlice gives a slice with addresses that nobody has.
func writtenSlice(service, name string, first, count int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s, labels: {kubernetes.io/service-name: %s}}
addressType: IPv4
ports: [{name: plugin, port: 7000, protocol: TCP}]
endpoints:
`, name, service)
	for i := first; i < first+count; i++ {
		fmt.Fprintf(&b, "  - {addresses: [10.201.%d.%d], conditions: {ready: true}}\n", i/250, i%250+1)
	}
	return b.String()
}

// hostAlone brings up the host and forwards its port.
func hostAlone(t *testing.T, name string) string {
	t.Helper()
	namespace(t, name)
	apply(t, overlay(t, ""), "-n", name)
	rolled(t, name, "basic")
	return port(t, name, "deployment/basic", "8080")
}

func listed(url string) int { return strings.Count(get(url+"/api/v1/plugins"), `"address":"10.201.`) }

// TestThreeSlices has 250 endpoints in three slices, and changes one slice.
func TestThreeSlices(t *testing.T) {
	url := hostAlone(t, "e2e-slices")
	apply(t, writtenService("big", writtenSlice("big", "big-a", 0, 100), writtenSlice("big", "big-b", 100, 100), writtenSlice("big", "big-c", 200, 50)), "-n", "e2e-slices")
	until(t, "250 endpoints are listed", func() bool { return listed(url) == 250 })
	apply(t, writtenSlice("big", "big-b", 101, 99), "-n", "e2e-slices")
	took := until(t, "249 endpoints are listed", func() bool { return listed(url) == 249 })
	t.Logf("250 endpoints in three slices; the change of one was known %s after kubectl had returned", took.Round(time.Millisecond))
}

// TestThousandServices states what 1,000 Services of 5 endpoints cost the host.
func TestThousandServices(t *testing.T) {
	const name = "e2e-crowd"
	url := hostAlone(t, name)
	rest := usage(t, url)
	begun := time.Now()
	var wg sync.WaitGroup
	for part := range 4 { // side by side, as each kubectl takes its time
		wg.Go(func() {
			var all strings.Builder
			for i := part * 250; i < (part+1)*250; i++ {
				service := fmt.Sprintf("plugin-%04d", i)
				all.WriteString("---\n" + writtenService(service, writtenSlice(service, service, i*5, 5)))
			}
			if out, err := try(t.Context(), all.String(), "create", "-n", name, "-f", "-"); err != nil {
				t.Errorf("kubectl create: %v\n%s", err, out)
			}
		})
	}
	wg.Wait()
	t.Logf("kubectl create of 2,000 objects: %s", time.Since(begun).Round(time.Millisecond))
	took := until(t, "5,000 endpoints are listed", func() bool { return listed(url) == 5000 })
	before, begun := usage(t, url), time.Now()
	timer := time.NewTimer(20 * time.Second)
	<-timer.C
	after := usage(t, url)
	t.Logf("known %s after that; resident memory %.0f MB (%.0f MB before), %.1f %% of a core while it tries 5,000 endpoints that nobody has",
		took.Round(time.Millisecond), after.memory/1e6, rest.memory/1e6, 100*(after.cpu-before.cpu)/time.Since(begun).Seconds())
	notRestarted(t, name) // as it would be, had it met its limit
}

type used struct{ memory, cpu float64 }

func usage(t *testing.T, url string) used {
	t.Helper()
	metrics := get(url + "/metrics")
	value := func(name string) float64 {
		t.Helper()
		m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(metrics)
		if m == nil {
			t.Fatalf("the host does not measure %s", name)
		}
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	return used{value("process_resident_memory_bytes"), value("process_cpu_seconds_total")}
}
