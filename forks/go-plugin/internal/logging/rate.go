// SPDX-License-Identifier: MPL-2.0

package logging

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// peerLinesPerSecond is how many lines of each level a peer can make this side log in
// one second, or all hosts of a plugin together. The rest is counted.
const peerLinesPerSecond = 20

// NewRated bounds what is logged about peers: whoever connects, attaches and
// detaches, or sends what has no place in its session, as often as it can.
func NewRated(logger hclog.Logger) hclog.Logger {
	rates := new(levelRates)
	return &passedLogger{Logger: logger, pass: func(level hclog.Level, write func()) {
		suppressed, ok := rates.of(level).Allow(time.Now())
		if suppressed > 0 {
			logger.Log(level, "a peer caused more lines of this level than are logged", "lines", suppressed)
		}
		if ok {
			write()
		}
	}}
}

// levelRates are those of a logger, which few sessions need.
type levelRates struct {
	mu  sync.Mutex
	all []Rate
}

func (r *levelRates) of(level hclog.Level) *Rate {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = make([]Rate, hclog.Off+1)
		for i := range r.all {
			r.all[i].Limit = peerLinesPerSecond
		}
	}
	return &r.all[min(max(level, 0), hclog.Off)]
}

// Rate bounds the log lines that peers can cause.
type Rate struct {
	Limit int // lines in one second

	mu     sync.Mutex
	second time.Time
	count  int
}

// Allow reports whether a line may be written now, and how many were not in
// the second before.
func (l *Rate) Allow(now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.second) >= time.Second {
		suppressed = max(0, l.count-l.Limit)
		l.second, l.count = now, 0
	}
	l.count++
	return suppressed, l.count <= l.Limit
}
