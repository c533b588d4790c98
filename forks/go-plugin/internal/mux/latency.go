// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"sync/atomic"
	"time"
)

// How long a method may take for its call to be run by the goroutine that has
// read it. No other one reads meanwhile, so it must be less than it costs to wake
// another goroutine; when more requests wait, less than the reading of one.
const (
	quick     = 50 * time.Microsecond
	veryQuick = 5 * time.Microsecond
)

// A run that takes longer counts as much as this many that do not: a method
// passes for quick while less than one in nine runs is slow. Few are not enough
// to tell, for any run may be interrupted by the scheduler.
const (
	slowRun = 8
	tooSlow = 2 * slowRun
	slowest = 8 * slowRun
	unknown = 3 * slowRun // of a new method while more requests wait; a single one is tried
)

var start = time.Now()

// sinceStart reads one clock, where time.Now reads two: of a quick call that is a twentieth.
func sinceStart() time.Duration { return time.Since(start) }

// latency estimates how long the next run of a method takes.
type latency struct {
	slow atomic.Int32 // more than quick
	busy atomic.Int32 // more than veryQuick
}

func (l *latency) record(took time.Duration) {
	score(&l.slow, took > quick)
	score(&l.busy, took > veryQuick)
}

// score may miss a run when several end at once.
func score(n *atomic.Int32, slow bool) {
	switch now := n.Load(); {
	case slow:
		n.Store(min(now+slowRun, slowest))
	case now > 0:
		n.Store(now - 1)
	}
}

// isQuick guesses whether the next run is. backlog says that more requests
// wait to be read.
func (l *latency) isQuick(backlog bool) bool {
	if backlog {
		return l.busy.Load() < tooSlow
	}
	return l.slow.Load() < tooSlow
}
