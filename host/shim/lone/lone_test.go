// SPDX-License-Identifier: MPL-2.0

package lone

import (
	"os"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	_ = os.Unsetenv("GOMAXPROCS") // of whoever runs the tests
	goleak.VerifyTestMain(m)
}

// call is one that has nobody beside it.
func call(c *Caller, request, answer int) {
	c.Begin(request)
	c.End(answer)
}

func makeCalls(c *Caller, n int) {
	for range n {
		call(c, small, small)
	}
}

// has waits until Go has so many processors.
func has(t *testing.T, processors int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); runtime.GOMAXPROCS(0) != processors; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("GOMAXPROCS is %d, want %d", runtime.GOMAXPROCS(0), processors)
		}
	}
}

// start gives a new Caller, and all processors that there are.
func start(t *testing.T) (c *Caller, all int) {
	all = runtime.NumCPU()
	if runtime.SetDefaultGOMAXPROCS(); runtime.GOMAXPROCS(0) != all || all == 1 {
		t.Skipf("there are %d of %d processors", runtime.GOMAXPROCS(0), all)
	}
	c = New()
	t.Cleanup(func() {
		c.want(false)
		has(t, all)
		for c.setting.Load() {
			runtime.Gosched()
		}
	})
	return c, all
}

func TestSmallCallsAlone(t *testing.T) {
	for name, other := range map[string]func(*Caller){
		"TwoAtOnce":    func(c *Caller) { c.Begin(1); call(c, 1, 1); c.End(1) },
		"LargeRequest": func(c *Caller) { call(c, small+1, 1) },
		"LargeAnswer":  func(c *Caller) { call(c, 1, small+1) },
	} {
		t.Run(name, func(t *testing.T) {
			c, all := start(t)
			for range 3 {
				makeCalls(c, enough-1)
				other(c)
				makeCalls(c, enough-1)
				if c.single.Load() {
					t.Fatal("one processor is wanted before there were enough calls in a row")
				}
				makeCalls(c, 1)
				has(t, 1)
				other(c)
				has(t, all)
			}
		})
	}
}

// TestTheLastWordCounts changes its mind faster than Go changes the number of processors.
func TestTheLastWordCounts(t *testing.T) {
	c, all := start(t)
	for range 50 {
		makeCalls(c, enough)
		call(c, small+1, 1)
	}
	has(t, all)
	makeCalls(c, enough)
	has(t, 1)
}

func TestEnvironmentWins(t *testing.T) {
	t.Setenv("GOMAXPROCS", "2")
	c := New()
	makeCalls(c, 2*enough)
	if c.single.Load() {
		t.Error("GOMAXPROCS of the environment is set, and another number is wanted")
	}
}

// TestNoAllocation holds what each call pays.
func TestNoAllocation(t *testing.T) {
	c := new(Caller)
	if n := testing.AllocsPerRun(100, func() { c.Begin(1); c.End(1) }); n != 0 {
		t.Errorf("a call allocates %v times", n)
	}
}
