// SPDX-License-Identifier: MPL-2.0

package balancer

import "sync/atomic"

// Load counts the calls in flight of one endpoint. It belongs to the endpoint
// and outlives the snapshots that name it. The zero value is ready; a Load
// must not be copied.
type Load struct {
	inFlight atomic.Int64
	_        [120]byte // keeps two endpoints' counters off one cache line, and its neighbour
}

// Begin counts a call that starts.
func (l *Load) Begin() { l.inFlight.Add(1) }

// End counts a call that ended: once for each Begin.
func (l *Load) End() { l.inFlight.Add(-1) }

// InFlight gives the number of calls that began and have not ended.
func (l *Load) InFlight() int64 { return l.inFlight.Load() }
