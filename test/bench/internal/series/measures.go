// SPDX-License-Identifier: MPL-2.0

package series

import (
	"fmt"
	"strings"
)

// Measures that have no size.
const (
	// Attach is the time from nothing to the first answered call.
	Attach = "attach, ns"
	// Memory is heap and stacks of both sides for each session, HostMemory those
	// of the host alone, PluginMemory those of the plugin.
	Memory       = "memory, B"
	HostMemory   = "memory of the host, B"
	PluginMemory = "memory of the plugin, B"
	// Heap and Stack are the parts of Memory.
	Heap  = "heap, B"
	Stack = "stack, B"
	// Goroutines are those of both sides for each session.
	Goroutines     = "goroutines"
	HostGoroutines = "goroutines of the host"
	// KilledInUse is the time from SIGKILL of an endpoint to the answer to the call
	// that was in it; KilledNext to that of the next call.
	KilledInUse = "killed, call in use, ns"
	KilledNext  = "killed, next call, ns"
)

// Calls names the measures of calls with so many callers and such a payload.
type Calls struct{ Callers, Payload int }

// String names the load itself.
func (c Calls) String() string { return fmt.Sprintf("%d x %s", c.Callers, Size(c.Payload)) }

// Time is how long a call takes, by how many were answered of all callers together.
func (c Calls) Time() string { return c.String() + timeOfCalls }

const timeOfCalls, cpuOfCalls = ", ns a call", ", CPU ns in 10000 calls"

// CPUOf gives the measure CPU of the load whose measure Time is given; false: it is another.
func CPUOf(measure string) (string, bool) {
	load, ok := strings.CutSuffix(measure, timeOfCalls)
	return load + cpuOfCalls, ok
}

// P50 and P99 are quantiles of single calls.
func (c Calls) P50() string { return c.String() + ", p50 ns" }

// P99 is like P50.
func (c Calls) P99() string { return c.String() + ", p99 ns" }

// CPU is the processor time of both sides for 10,000 calls.
func (c Calls) CPU() string { return c.String() + cpuOfCalls }

// Fleet names the measures of so many endpoints at once.
type Fleet int

// Wall is the time until all are ready.
func (n Fleet) Wall() string { return fmt.Sprintf("%d endpoints, ns", int(n)) }

// HostCPU is what the host needed for that, and CPU what both sides did.
func (n Fleet) HostCPU() string { return fmt.Sprintf("%d endpoints, host CPU ns", int(n)) }

// CPU is like HostCPU.
func (n Fleet) CPU() string { return fmt.Sprintf("%d endpoints, CPU ns", int(n)) }
