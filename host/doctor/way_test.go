// SPDX-License-Identifier: MPL-2.0

package doctor

import "testing"

// TestWarningsAreBounded holds that a report has the first warnings, and counts the rest.
func TestWarningsAreBounded(t *testing.T) {
	r := &Report{}
	for range maxWarnings + 7 {
		r.Add(Step{Hop: "pods", Outcome: Warning, Finding: &Finding{Warning: true}})
	}
	r.Add(Step{Hop: "call", Outcome: Failed, Finding: &Finding{}})
	if len(r.Warnings) != maxWarnings || r.MoreWarnings != 7 || len(r.Steps) != maxWarnings+1 || r.OK {
		t.Errorf("%d warnings, %d more, %d steps, ok %v", len(r.Warnings), r.MoreWarnings, len(r.Steps), r.OK)
	}
}
