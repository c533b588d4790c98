// SPDX-License-Identifier: MPL-2.0

package adversary

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// latencies are how long the calls of an honest peer took.
type latencies struct {
	mu   sync.Mutex
	took []time.Duration
}

// timed makes of a call one whose time is noted.
func (l *latencies) timed(call func() error) func() error {
	return func() error {
		began := time.Now()
		err := call()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.took = append(l.took, time.Since(began))
		return err
	}
}

// at is what a share of them, in hundredths, took at most.
func (l *latencies) at(hundredths int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.took) == 0 {
		return 0
	}
	slices.Sort(l.took)
	return l.took[len(l.took)*hundredths/100]
}

// promise is what other sessions are to be served within beside a flood, 99 times of 100.
const promise = 20 * time.Millisecond

// waits are how long honest peers had to wait in all cases: beside an attack, and beside a
// process that uses as much of the machine without it.
var waits struct {
	sync.Mutex
	cases, kept int
	worst       float64
	of          string
}

// compare says how an honest peer fared beside an attack, and in the baseline before it. How
// slow the machine is must fail nothing: that is left to figures.served.
func (f *figures) compare(calls, baseline *latencies) {
	rounded := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	p99, before := calls.at(99), baseline.at(99)
	if before == 0 {
		f.note(true, "p50 %v, p99 %v", rounded(calls.at(50)), rounded(p99))
		return
	}
	ratio := float64(p99) / float64(before)
	f.note(true, "p50 %v, p99 %v, %.1f times the baseline's %v", rounded(calls.at(50)), rounded(p99), ratio, rounded(before))
	waits.Lock()
	defer waits.Unlock()
	waits.cases++
	if p99 <= promise {
		waits.kept++
	}
	if ratio > waits.worst {
		waits.worst, waits.of = ratio, f.t.Name()
	}
}

// sumUp says, when all floods are over, what honest peers had to wait beside them. It holds
// nothing: see compare.
func sumUp() {
	if waits.cases > 0 {
		fmt.Printf("beside floods p99 was at most %v in %d of %d cases; the worst was %.1f times its baseline, in %s\n",
			promise, waits.kept, waits.cases, waits.worst, waits.of)
	}
}
