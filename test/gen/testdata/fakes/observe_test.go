// SPDX-License-Identifier: MPL-2.0

package observe_test

import (
	"strings"
	"testing"

	"corpus.test/observe/observetest"
)

// TestUnsetStream holds that a fake without the function of a stream says so, as it does
// for other methods.
func TestUnsetStream(t *testing.T) {
	items := 0
	for _, err := range new(observetest.Stream).RunStream(t.Context(), "path") {
		items++
		if err == nil || !strings.Contains(err.Error(), "Stream.RunStreamFunc is not set") {
			t.Errorf("an item with error %v", err)
		}
	}
	if items != 1 {
		t.Errorf("%d items, want the error alone", items)
	}
}
