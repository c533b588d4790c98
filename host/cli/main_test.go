// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"errors"
	"testing"
)

// TestTold holds that what was said already leaves no gap before what comes with it.
func TestTold(t *testing.T) {
	for want, err := range map[string]error{
		"stop daemon: late": errors.Join(&failure{code: exitUnreachable}, errors.New("stop daemon: late")),
		"one\n  two":        errors.New("one\ntwo"),
	} {
		if got := told(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
