// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"math"
	"time"
)

// moment is a point in time, in nanoseconds since epoch. A call keeps it instead
// of a time.Time, which is three times as large and reads two clocks.
type moment int64

// never is later than anything.
const never moment = math.MaxInt64

// epoch is what moments count from.
var epoch = time.Now()

func now() moment { return moment(time.Since(epoch)) }

// add gives the moment that is later by d, or the last one there is.
func (m moment) add(d time.Duration) moment {
	if sum := m + moment(d); sum >= m || d < 0 {
		return sum
	}
	return never
}

// time gives what the rest of the world takes for a time. Its wall clock may be
// off, if that was set meanwhile; timers and deadlines do not read it.
func (m moment) time() time.Time { return epoch.Add(time.Duration(m)) }
