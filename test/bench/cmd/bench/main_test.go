// SPDX-License-Identifier: MPL-2.0

package main

import (
	"strings"
	"testing"

	"github.com/reattach/reattach/test/bench/internal/bounds"
)

func TestMissed(t *testing.T) {
	results := []bounds.Result{
		{Bound: bounds.Bound{Text: "a slow call", Unit: bounds.Time}, Verdict: bounds.Far},
		{Bound: bounds.Bound{Text: "a large session", Unit: bounds.Bytes}, Verdict: bounds.Far},
		{Bound: bounds.Bound{Text: "a goroutine too many", Unit: bounds.Count}, Verdict: bounds.Over},
	}
	if err := missed(results); err != nil {
		t.Errorf("what is not counted, or not far from its bound: %v, want no error", err)
	}
	results = append(results, bounds.Result{Bound: bounds.Bound{Text: "calls not answered", Unit: bounds.Count}, Verdict: bounds.Far})
	if err := missed(results); err == nil || !strings.Contains(err.Error(), "calls not answered") {
		t.Errorf("calls left unanswered: %v, want an error that names them", err)
	}
}
