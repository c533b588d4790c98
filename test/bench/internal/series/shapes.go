// SPDX-License-Identifier: MPL-2.0

package series

import (
	"fmt"
	"time"
)

// Measures of other shapes of calls.
const (
	// Feed and Pour are the time of one message in a stream to the host, and to the
	// plugin.
	Feed = "stream to the host, ns a message"
	Pour = "stream to the plugin, ns a message"
	// CancelLate is how long after their callers calls that were given up came back.
	CancelLate = "given up, p99 ns late"
	// CancelBusy is how many of those calls the plugin is still busy with soon after.
	CancelBusy = "given up, calls"
	// CancelCPU is what both sides use from then on, as a part of a processor, and
	// CancelMemory what they hold more than before.
	CancelCPU    = "given up, CPU"
	CancelMemory = "given up, B"
)

// Beside names the measures of small calls beside large ones.
type Beside struct {
	Bytes int
	Reply bool
	// Rate is that of a slow link, in bytes a second; 0 is the loopback interface.
	Rate int
}

// String names the load.
func (b Beside) String() string {
	what, where := "request", "loopback"
	if b.Reply {
		what = "reply"
	}
	if b.Rate > 0 {
		where = fmt.Sprintf("a link of %d MB/s", b.Rate/1e6)
	}
	size := Size(b.Bytes)
	if b.Bytes%1e6 == 0 {
		size = fmt.Sprintf("%d MB", b.Bytes/1e6)
	}
	return fmt.Sprintf("beside a %s of %s, %s", what, size, where)
}

// Needs is how long a link needs for the large message alone.
func (b Beside) Needs() time.Duration {
	return time.Duration(b.Bytes) * time.Second / time.Duration(b.Rate)
}

// P50, P99 and Max are quantiles of the small calls.
func (b Beside) P50() string { return b.String() + ": small calls, p50 ns" }

// P99 is like P50.
func (b Beside) P99() string { return b.String() + ": small calls, p99 ns" }

// Max is like P50.
func (b Beside) Max() string { return b.String() + ": small calls, longest ns" }

// Large is how long the large call took.
func (b Beside) Large() string { return b.String() + ": the large call, ns" }

// Failed is how many calls of either size were not answered, and how often the endpoint
// was held back.
func (b Beside) Failed() string { return b.String() + ": failed" }

// Idle names the measures of so many endpoints of as many plugins that nobody calls.
type Idle int

func (n Idle) name(what string) string { return fmt.Sprintf("%d at rest, %s", int(n), what) }

// HostCPU and PluginCPU are parts of a processor.
func (n Idle) HostCPU() string { return n.name("host CPU") }

// PluginCPU is like HostCPU.
func (n Idle) PluginCPU() string { return n.name("plugin CPU") }

// Memory is heap and stacks of both sides for each of them, and HostMemory those of the
// host.
func (n Idle) Memory() string { return n.name("memory, B") }

// HostMemory is like Memory.
func (n Idle) HostMemory() string { return n.name("memory of the host, B") }

// Goroutines are those of both sides for each of them, and HostGoroutines those of the
// host.
func (n Idle) Goroutines() string { return n.name("goroutines") }

// HostGoroutines is like Goroutines.
func (n Idle) HostGoroutines() string { return n.name("goroutines of the host") }
