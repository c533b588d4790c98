// SPDX-License-Identifier: MPL-2.0

// Package testkit is what the tests of several packages have in common. Nothing but
// tests imports it.
package testkit

import (
	"testing"
	"time"
)

// patience is how long Eventually waits: longer than any busy machine takes.
const patience = 10 * time.Second

// Eventually waits for a condition that has no event of its own, and fails the test,
// which says what was expected, if it does not come within 10 s.
func Eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
