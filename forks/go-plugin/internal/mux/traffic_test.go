// SPDX-License-Identifier: MPL-2.0

package mux

import "testing"

// TestTraffic holds that a few calls are no traffic, that many are, and that a moment
// without is not the end of it, but a while is.
func TestTraffic(t *testing.T) {
	var tr traffic
	for _, step := range []struct {
		reason   string
		calls    int64
		requests int
		want     bool
	}{
		{"a lone caller waits for nobody", 1, 100, false},
		{"nor do a few", fewCalls, 100, false},
		{"many callers are expected to go on", fewCalls + 1, 10, true},
		{"also when most of them have just been answered", 1, busyFor - 1, true},
		{"but not for long", 1, 10, false},
	} {
		for i := range step.requests {
			if got := tr.isBusy(step.calls); got != step.want {
				t.Fatalf("%s: request %d with %d calls under way: isBusy = %v", step.reason, i+1, step.calls, got)
			}
		}
	}
}
