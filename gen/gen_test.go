// SPDX-License-Identifier: MPL-2.0

package gen

import (
	"testing"
)

// TestExamplesAreUpToDate holds that what is committed is what would be written.
func TestExamplesAreUpToDate(t *testing.T) {
	for _, dir := range []string{"../examples/calculator"} {
		if err := Run(t.Context(), Options{Dir: dir, Check: true}); err != nil {
			t.Errorf("%s:\n%v", dir, err)
		}
	}
}
