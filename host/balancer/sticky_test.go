// SPDX-License-Identifier: MPL-2.0

package balancer_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reattach/reattach/host/balancer"
)

// longest is how many calls in a row an endpoint gets because it is warm.
const longest = 128

func TestStickyPick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := balancer.New(balancer.Options{Policy: balancer.LeastRequest}, several(5))
		got := make(map[int]int)
		const draws = 2000
		for range draws {
			v, _ := p.Pick(nil)
			for range longest - 1 {
				if next, _ := p.Pick(nil); next != v {
					t.Fatalf("%d was picked after %d, which was idle again", next.number, v.number)
				}
			}
			got[v.number]++
		}
		wantEven(t, got, []int{0, 1, 2, 3, 4}, draws, 0.25)
	})
}

func TestStickyPickEnds(t *testing.T) {
	cases := map[string]struct {
		reason string
		then   func(p *balancer.Picker[*pod], last *pod)
		stays  bool
	}{
		"Not":      {"it is idle, and was a moment ago", func(*balancer.Picker[*pod], *pod) {}, true},
		"Warm":     {"a millisecond is no time", func(*balancer.Picker[*pod], *pod) { time.Sleep(time.Millisecond) }, true},
		"Cold":     {"it has been idle for longer", func(*balancer.Picker[*pod], *pod) { time.Sleep(1002 * time.Microsecond) }, false},
		"Busy":     {"another call is on it", func(_ *balancer.Picker[*pod], last *pod) { last.calls.Store(1) }, false},
		"Excluded": {"a call was tried there in vain", func(p *balancer.Picker[*pod], last *pod) { p.Pick(skipping(last)) }, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const draws = 1000
				stayed := 0
				for range draws {
					p := balancer.New(balancer.Options{Policy: balancer.LeastRequest}, several(10))
					last, _ := p.Pick(nil)
					tc.then(p, last)
					if next, _ := p.Pick(nil); next == last {
						stayed++
					}
				}
				// A draw finds one of ten in a tenth of all cases.
				if tc.stays && stayed != draws || !tc.stays && stayed > draws/5 {
					t.Errorf("%s, and %d of %d calls went there", tc.reason, stayed, draws)
				}
			})
		})
	}
}

// TestStickyPickOfMany has many callers at once, whose calls take no time.
func TestStickyPickOfMany(t *testing.T) {
	const callers, each = 16, 20_000
	candidates := several(8)
	p := balancer.New(balancer.Options{Policy: balancer.LeastRequest}, candidates)
	var most atomic.Int64
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				v, ok := p.Pick(nil)
				if !ok {
					t.Error("nothing to pick")
					return
				}
				if n := v.calls.Add(1); n > most.Load() {
					most.Store(n)
				}
				v.calls.Add(-1)
			}
		})
	}
	wg.Wait()
	if n := most.Load(); n > callers/2 {
		t.Errorf("%d of %d callers were on one of %d endpoints at once", n, callers, len(candidates))
	}
}
