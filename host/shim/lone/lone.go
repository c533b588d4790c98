// SPDX-License-Identifier: MPL-2.0

// Package lone has Go run a shim on one processor as long as its host makes one small call at
// a time. Each step of such a call wakes the next goroutine, for which Go starts another
// thread on a processor that is idle: that thread mostly finds nothing to do, or takes over
// what the first one would have done at once. Several callers, streams and large messages have
// all processors.
package lone

import (
	"os"
	"runtime"
	"sync/atomic"
)

const (
	// enough is how many calls in a row have to be small and alone: to change the number of
	// processors stops the program for a moment.
	enough = 256
	// small is how many bytes a request or an answer of such a call may have. One that is
	// larger is read while it is written, by several threads.
	small = 16 << 10
)

// Caller follows the calls of a host. It implements forward.Load. Its methods may be called
// from any goroutine. One of them is for a process.
type Caller struct {
	fixed   bool // the number of processors is somebody else's to say
	under   atomic.Int64
	alone   atomic.Int64 // in a row
	single  atomic.Bool  // one processor is wanted
	setting atomic.Bool  // set runs
}

// New returns one that never does anything if GOMAXPROCS is set in the environment.
func New() *Caller {
	_, isSet := os.LookupEnv("GOMAXPROCS")
	return &Caller{fixed: isSet}
}

// Begin implements forward.Load.
func (c *Caller) Begin(request int) {
	switch {
	case c.under.Add(1) > 1 || request > small:
		c.want(false)
	case c.alone.Add(1) == enough:
		c.want(true)
	}
}

// End implements forward.Load.
func (c *Caller) End(answer int) {
	c.under.Add(-1)
	if answer > small {
		c.want(false)
	}
}

// want has Go use one processor, or all that there are. It does not wait for that: the garbage
// may be being collected.
func (c *Caller) want(single bool) {
	if !single && c.alone.Load() > 0 {
		c.alone.Store(0)
	}
	if !c.fixed && c.single.Load() != single && c.single.Swap(single) != single && c.setting.CompareAndSwap(false, true) {
		go c.set()
	}
}

// set does what is wanted, until nothing else is.
func (c *Caller) set() {
	for {
		single := c.single.Load()
		if single {
			runtime.GOMAXPROCS(1)
		} else {
			runtime.SetDefaultGOMAXPROCS()
		}
		c.setting.Store(false)
		if c.single.Load() == single || !c.setting.CompareAndSwap(false, true) {
			return
		}
	}
}
