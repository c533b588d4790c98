// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"errors"
	"testing"
)

// TestUnsentAttemptsAreNoRepeats: an attempt that was handed to an endpoint and surely
// not read by its plugin takes none of the repeats that a call has.
func TestUnsentAttemptsAreNoRepeats(t *testing.T) {
	gone := errors.New("gone")
	s := &callState{calledMethod: &calledMethod{options: CallOptions{Idempotent: true, Repeats: 2}}}
	for i, attempt := range []struct{ sent, again bool }{
		{true, true},  // the call
		{false, true}, // turned down
		{true, true},  // the first repeat
		{false, true}, // turned down
		{true, false}, // the second repeat
	} {
		s.attempt()
		if again := s.lost("a", attempt.sent, gone); again != attempt.again {
			t.Errorf("attempt %d, sent: %t: tried again: %t, want %t", i+1, attempt.sent, again, attempt.again)
		}
	}
	if s.retry.repeats != 2 {
		t.Errorf("%d repeats were counted, want 2", s.retry.repeats)
	}
}
