// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"testing"
	"time"
)

func TestPausesStayBetweenTheirBounds(t *testing.T) {
	p := pauses{Backoff: Backoff{Min: 5 * time.Second, Max: time.Minute}}
	for i := range 100 {
		if d := p.next(); d < p.Min*4/5 || d > p.Max*6/5 {
			t.Fatalf("pause %d is %s", i+1, d)
		}
	}
}
