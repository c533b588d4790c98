// SPDX-License-Identifier: MPL-2.0

//go:build e2e

package e2e

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// speaks counts what the ready endpoints of a host speak.
func speaks(url string) map[string]int {
	count := make(map[string]int)
	for _, e := range endpointsOf(url) {
		if e.State == "READY" {
			count[fmt.Sprintf("%s v%d", e.Protocol, e.Version)]++
		}
	}
	return count
}

func untilSpeaks(t *testing.T, url string, want map[string]int) {
	t.Helper()
	until(t, fmt.Sprintf("the sessions are %v", want), func() bool { return maps.Equal(speaks(url), want) })
}

// TestTwoVersions rolls the plugin from one that has version 1 alone to one that has
// versions 1 and 2, and back, under calls through a host that has version 1 alone and
// one that has both.
func TestTwoVersions(t *testing.T) {
	const name = "e2e-versions"
	namespace(t, name)
	manifests := overlay(t, "")
	apply(t, strings.ReplaceAll(manifests, image("pluginzh"), image("pluginzh-version1")), "-n", name)
	kubectl(t, "scale", "-n", name, "deployment/pluginzh", "--replicas=3")
	rolled(t, name, "pluginzh")
	hosts := map[string]string{
		"that has version 1": caller(t, name, "old", "CONTRACT_VERSIONS=1"),
		"that has both":      caller(t, name, "both"),
	}
	both, old := hosts["that has both"], hosts["that has version 1"]
	newest := caller(t, name, "newest", "CONTRACT_VERSIONS=2")
	loads := make(map[string]*load)
	for host, url := range hosts {
		untilSpeaks(t, url, map[string]int{"netrpc v1": 3})
		loads[host] = begin(url, 2)
	}
	says(t, []string{"describe", "service", "pluginzh", "-n", name}, "VersionRefused", "Plugin version: 1, Client versions: [2]")

	kubectl(t, "set", "image", "-n", name, "deployment/pluginzh", "plugin="+image("pluginzh"))
	until(t, "the host that has both speaks both", func() bool { return len(speaks(both)) == 2 })
	t.Logf("in the middle of the rollout the host that has both speaks %v", speaks(both))
	rolled(t, name, "pluginzh")
	untilSpeaks(t, both, map[string]int{"grpc v2": 3})
	untilSpeaks(t, old, map[string]int{"netrpc v1": 3})
	untilSpeaks(t, newest, map[string]int{"grpc v2": 3})

	kubectl(t, "rollout", "undo", "-n", name, "deployment/pluginzh")
	until(t, "the host that has both speaks both again", func() bool { return len(speaks(both)) == 2 })
	rolled(t, name, "pluginzh")
	untilSpeaks(t, both, map[string]int{"netrpc v1": 3})
	untilSpeaks(t, old, map[string]int{"netrpc v1": 3})
	for _, host := range slices.Sorted(maps.Keys(loads)) {
		t.Logf("through the host %s, while the plugin rolled from version 1 to versions 1 and 2 and back:", host)
		loads[host].end(t)
	}
}
