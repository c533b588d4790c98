// SPDX-License-Identifier: MPL-2.0

// Package kit is what tests have in common: waiting, certificates, pages, programs.
package kit

import (
	"fmt"
	"testing"
	"time"
)

// Eventually waits until condition holds, and fails with what it last said.
func Eventually(t testing.TB, patience time.Duration, condition func() error) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("after %v: %v", patience, err)
		case <-tick.C:
		}
	}
}

// Until waits until condition holds, and fails with what did not happen.
func Until(t testing.TB, patience time.Duration, what string, condition func() bool) {
	t.Helper()
	Eventually(t, patience, func() error {
		if condition() {
			return nil
		}
		return fmt.Errorf("it did not happen: %s", what)
	})
}
