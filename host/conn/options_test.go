// SPDX-License-Identifier: MPL-2.0

package conn

import (
	"testing"
	"time"
)

func TestPausesStayBetweenTheirBounds(t *testing.T) {
	b := Backoff{Min: 5 * time.Second, Max: time.Minute}
	p := b.pauses()
	for i := range 100 {
		if d := p.NextBackOff(); d < b.Min*4/5 || d > b.Max*6/5 {
			t.Fatalf("pause %d is %s", i+1, d)
		}
	}
}
