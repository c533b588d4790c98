// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"sync"
	"time"
)

// lineRate bounds the log lines that peers can cause.
type lineRate struct {
	limit int // lines in one second

	mu     sync.Mutex
	second time.Time
	count  int
}

// allow reports whether a line may be written now, and how many were not in
// the second before.
func (l *lineRate) allow(now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.second) >= time.Second {
		suppressed = max(0, l.count-l.limit)
		l.second, l.count = now, 0
	}
	l.count++
	return suppressed, l.count <= l.limit
}
