// SPDX-License-Identifier: MPL-2.0

package mux

import "time"

const (
	// quickWrite is how long a part takes at most that a larger one follows, and slowWrite
	// after how long the next one is small again: other frames wait behind it.
	quickWrite = 500 * time.Microsecond
	slowWrite  = 2 * time.Millisecond
)

// pace is how large the parts of long messages are. Fewer and larger ones cost both sides
// less, and small ones let others go first.
type pace struct{ size int }

func (p *pace) part() int { return max(p.size, partSize) }

// took notes that the connection has taken a part, which it was given at a time.
func (p *pace) took(since time.Time) {
	switch took := time.Since(since); {
	case took < quickWrite:
		p.size = min(2*p.part(), maxPart)
	case took > slowWrite:
		p.size = partSize
	}
}
