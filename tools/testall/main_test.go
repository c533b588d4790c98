// SPDX-License-Identifier: MPL-2.0

package main

import (
	"strings"
	"testing"
)

// TestBounded holds that a timeout that is given counts, and that there is one in any case.
func TestBounded(t *testing.T) {
	for flags, want := range map[string]string{
		"":                          "-timeout 60m",
		"-race -run=timeout":        "-timeout 60m -race -run=timeout",
		"-race -timeout 5m":         "-race -timeout 5m",
		"--timeout=5m":              "--timeout=5m",
		"-test.timeout=5m -count=1": "-test.timeout=5m -count=1",
	} {
		if got := strings.Join(bounded(strings.Fields(flags)), " "); got != want {
			t.Errorf("%q: got %q, want %q", flags, got, want)
		}
	}
}
