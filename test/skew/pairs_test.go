// SPDX-License-Identifier: MPL-2.0

package skew

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// sides are pairs of which at least one is old.
var pairs = []struct{ host, plugin side }{{old, current}, {current, old}, {old, old}}

// TestPairs has each host do whatever the desk can with each plugin.
func TestPairs(t *testing.T) {
	rows := []string{"| host | plugin | protocol | placement | " + strings.Join(checks, " | ") + " |"}
	for _, pair := range pairs {
		for _, protocol := range []string{"netrpc", "grpc"} {
			for _, placement := range []string{"network", "child"} {
				name := fmt.Sprintf("%s host, %s plugin, %s, %s", pair.host, pair.plugin, protocol, placement)
				t.Run(name, func(t *testing.T) {
					var h *process
					if placement == "child" {
						dir := t.TempDir()
						child(t, pair.plugin, dir)
						h = host(t, pair.host, protocol, dir)
					} else {
						at := newPlace()
						network(t, pair.plugin, protocol, at)
						h = host(t, pair.host, protocol, "", at)
					}
					seen := make(map[string]string)
					h.tell("check", &seen)
					row := []string{string(pair.host), string(pair.plugin), protocol, placement}
					for _, check := range checks {
						row = append(row, seen[check])
					}
					rows = append(rows, "| "+strings.Join(row, " | ")+" |")
					for _, check := range slices.Sorted(maps.Keys(seen)) {
						if seen[check] != "ok" {
							t.Errorf("%s: %s", check, seen[check])
						}
					}
				})
			}
		}
	}
	t.Log("\n" + strings.Join(rows, "\n"))
}

var checks = []string{"greet", "error", "stream", "callback", "output", "after"}
