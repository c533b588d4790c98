// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// childLogRate is how many bytes of a child's output are logged in one second. It
	// is its log and what it prints; the rest is dropped, and counted.
	childLogRate = 1 << 20
	// recordCost stands for the time, the level and the names in a record, in bytes.
	recordCost = 128
)

// ratedOutput is the logger of one child's output, which bounds what that can cost: a
// child that floods must not fill the log of everybody. go-plugin and lineLogger log
// its lines by Log; what they have to say of their own they say otherwise.
type ratedOutput struct {
	hclog.Logger
	spent *outputSpent
}

// outputSpent is what a child's output has cost in the second that began last.
type outputSpent struct {
	mu      sync.Mutex
	began   time.Time
	bytes   int
	dropped int // lines
}

func newRatedOutput(l hclog.Logger) ratedOutput { return ratedOutput{l, new(outputSpent)} }

// Named implements hclog.Logger.
func (r ratedOutput) Named(name string) hclog.Logger {
	return ratedOutput{r.Logger.Named(name), r.spent}
}

// Log implements hclog.Logger.
func (r ratedOutput) Log(level hclog.Level, msg string, args ...any) {
	if level < r.GetLevel() {
		return
	}
	cost := recordCost + len(msg)
	for _, arg := range args {
		if text, ok := arg.(string); ok {
			cost += len(text)
		}
	}
	dropped, ok := r.spent.add(cost, time.Now())
	if dropped > 0 {
		r.Warn("the plugin wrote more than is logged of it", "lines left out", dropped)
	}
	if ok {
		r.Logger.Log(level, msg, args...)
	}
}

// add counts a line. It reports whether it is to be logged, and how many were not in
// the second before.
func (s *outputSpent) add(cost int, now time.Time) (dropped int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.began) >= time.Second {
		dropped = s.dropped
		s.began, s.bytes, s.dropped = now, 0, 0
	}
	if s.bytes >= childLogRate {
		s.dropped++
		return dropped, false
	}
	s.bytes += cost
	return dropped, true
}
