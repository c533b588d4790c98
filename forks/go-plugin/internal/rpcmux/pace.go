// SPDX-License-Identifier: MPL-2.0

package rpcmux

import (
	"sync/atomic"
	"time"
)

// How long a method may take for its call to be run by the goroutine that has
// read it. Nobody reads meanwhile, so it must be less than it costs to wake
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
	unknown = 3 * slowRun // of a method in a crowd; a lonely one is tried
)

// pace is how long the runs of a method take.
type pace struct {
	slow atomic.Int32 // more than quick
	busy atomic.Int32 // more than veryQuick
}

func (p *pace) record(took time.Duration) {
	score(&p.slow, took > quick)
	score(&p.busy, took > veryQuick)
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

// isQuick guesses whether the next run is. crowded says that more requests
// wait to be read.
func (p *pace) isQuick(crowded bool) bool {
	if crowded {
		return p.busy.Load() < tooSlow
	}
	return p.slow.Load() < tooSlow
}
