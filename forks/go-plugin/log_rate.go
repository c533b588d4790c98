// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// peerLinesPerSecond is how many lines of each level a peer can make this side log in
// one second, or all hosts of a plugin together. The rest is counted.
const peerLinesPerSecond = 20

// newRatedLogger bounds what is logged about peers: whoever connects, attaches and
// detaches, or sends what has no place in its session, as often as it can.
func newRatedLogger(logger hclog.Logger) hclog.Logger {
	rates := make([]lineRate, hclog.Off+1)
	for i := range rates {
		rates[i].limit = peerLinesPerSecond
	}
	return &passedLogger{logger, func(level hclog.Level, write func()) {
		suppressed, ok := rates[min(max(level, 0), hclog.Off)].allow(time.Now())
		if suppressed > 0 {
			logger.Log(level, "a peer caused more lines of this level than are logged", "lines", suppressed)
		}
		if ok {
			write()
		}
	}}
}

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
