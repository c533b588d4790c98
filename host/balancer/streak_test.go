// SPDX-License-Identifier: MPL-2.0

package balancer_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/reattach/reattach/host/balancer"
)

// longest is how many calls in a row an endpoint gets because it is warm.
const longest = 32

// pickAndEnd makes a call that ends at once.
func pickAndEnd(p *balancer.Picker[int]) int {
	lease, _ := p.Pick()
	lease.Done()
	return lease.Value
}

func TestStreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := balancer.New(balancer.Options{Policy: balancer.LeastRequest}, several(5))
		got := make(map[int]int)
		const streaks = 2000
		for range streaks {
			v := pickAndEnd(p)
			for range longest - 1 {
				if next := pickAndEnd(p); next != v {
					t.Fatalf("%d was picked after %d, which was idle again", next, v)
				}
			}
			got[v]++
		}
		wantEven(t, got, []int{0, 1, 2, 3, 4}, streaks, 0.25)
	})
}

func TestStreakEnds(t *testing.T) {
	cases := map[string]struct {
		reason string
		then   func(p *balancer.Picker[int], candidate balancer.Candidate[int]) []int // excluded from now on
	}{
		"Busy": {"another call is on it", func(_ *balancer.Picker[int], c balancer.Candidate[int]) []int { c.Load.Begin(); return nil }},
		"Cold": {"it has been idle", func(*balancer.Picker[int], balancer.Candidate[int]) []int {
			time.Sleep(5 * time.Millisecond)
			return nil
		}},
		"Excluded": {"it was tried in vain", func(_ *balancer.Picker[int], c balancer.Candidate[int]) []int { return []int{c.Value} }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const draws = 1000
				stayed := 0
				for range draws {
					candidates := several(10)
					p := balancer.New(balancer.Options{Policy: balancer.LeastRequest}, candidates)
					v := pickAndEnd(p)
					lease, _ := p.Pick(tc.then(p, candidates[v])...)
					if lease.Value == v {
						stayed++
					}
				}
				if stayed > draws/5 { // a draw finds one of ten in a tenth of all cases
					t.Errorf("%s, and %d of %d calls went there all the same", tc.reason, stayed, draws)
				}
			})
		})
	}
}
