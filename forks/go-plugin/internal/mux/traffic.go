// SPDX-License-Identifier: MPL-2.0

package mux

const (
	// fewCalls is up to how many calls under way each request is written at once.
	fewCalls = 3
	// busyFor is how many requests in a row must find no more calls than that before
	// they are written at once again: when the answers to many callers come together,
	// there are few calls under way for the first of them that call anew.
	busyFor = 64
)

// traffic tells from the calls under way whether more requests are to be expected, which
// should leave in one write. The zero value expects none. Its user guards it.
type traffic struct {
	left int // requests that are taken for busy, whatever is under way
}

// isBusy is told with each request how many calls are under way.
func (t *traffic) isBusy(calls int64) bool {
	if calls > fewCalls {
		t.left = busyFor
	}
	if t.left == 0 {
		return false
	}
	t.left--
	return true
}
