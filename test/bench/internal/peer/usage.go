// SPDX-License-Identifier: MPL-2.0

package peer

import (
	"runtime"
	"syscall"
	"time"
)

// Usage is what a process has used up to now, and what it holds.
type Usage struct {
	// CPU is processor time, user and system.
	CPU time.Duration `json:"cpu"`
	// Heap and Stack are bytes in use.
	Heap  uint64 `json:"heap"`
	Stack uint64 `json:"stack"`
	// Goroutines is how many there are.
	Goroutines int `json:"goroutines"`
}

// bytes is heap and stacks.
func (u Usage) bytes() uint64 { return u.Heap + u.Stack }

func (u *Usage) add(o Usage) {
	u.CPU += o.CPU
	u.Heap += o.Heap
	u.Stack += o.Stack
	u.Goroutines += o.Goroutines
}

// cpu is the processor time of this process.
func cpu() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err) // only a wrong first argument makes it fail
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// usage looks at this process. With memory, garbage is collected first.
func usage(memory bool) Usage {
	u := Usage{CPU: cpu(), Goroutines: runtime.NumGoroutine()}
	if memory {
		// What a pool holds goes with the second collection, what a finalizer
		// held with the third.
		for range 3 {
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u.Heap, u.Stack = m.HeapAlloc, m.StackInuse
		u.Goroutines = runtime.NumGoroutine()
	}
	return u
}
