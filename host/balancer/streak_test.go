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

func TestStreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := balancer.New(balancer.Options{Policy: balancer.LeastRequest}, several(5))
		got := make(map[int]int)
		const streaks = 2000
		for range streaks {
			v, _ := p.Pick()
			for range longest - 1 {
				if next, _ := p.Pick(); next != v {
					t.Fatalf("%d was picked after %d, which was idle again", next.number, v.number)
				}
			}
			got[v.number]++
		}
		wantEven(t, got, []int{0, 1, 2, 3, 4}, streaks, 0.25)
	})
}

func TestStreakEnds(t *testing.T) {
	cases := map[string]struct {
		reason string
		then   func(*pod) (exclude []*pod)
	}{
		"Busy":     {"another call is on it", func(p *pod) []*pod { p.calls.Store(1); return nil }},
		"Cold":     {"it has been idle", func(*pod) []*pod { time.Sleep(5 * time.Millisecond); return nil }},
		"Excluded": {"it was tried in vain", func(p *pod) []*pod { return []*pod{p} }},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const draws = 1000
				stayed := 0
				for range draws {
					p := balancer.New(balancer.Options{Policy: balancer.LeastRequest}, several(10))
					v, _ := p.Pick()
					if next, _ := p.Pick(tc.then(v)...); next == v {
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
