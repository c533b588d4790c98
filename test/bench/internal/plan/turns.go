// SPDX-License-Identifier: MPL-2.0

package plan

import (
	"math/rand/v2"
	"slices"

	"github.com/reattach/reattach/test/bench/internal/bounds"
	"github.com/reattach/reattach/test/bench/internal/series"
)

// Turns gives the order of one round. What bounds compare stays together, as a
// machine that is slow for a second is slow for both then. Otherwise nobody keeps
// a place: who comes after whom makes a difference of some per cent.
func (s *Section) Turns(random *rand.Rand) []Subject {
	groups := s.compared()
	random.Shuffle(len(groups), func(i, j int) { groups[i], groups[j] = groups[j], groups[i] })
	for _, g := range groups {
		random.Shuffle(len(g), func(i, j int) { g[i], g[j] = g[j], g[i] })
	}
	return slices.Concat(groups...)
}

// compared divides the subjects into those that bounds connect.
func (s *Section) compared() [][]Subject {
	groups := make([][]Subject, 0, len(s.Subjects))
	for _, one := range s.Subjects {
		groups = append(groups, []Subject{one})
	}
	find := func(name string) int {
		return slices.IndexFunc(groups, func(g []Subject) bool {
			return slices.ContainsFunc(g, func(one Subject) bool { return one.Name == name })
		})
	}
	isOfCalls := s.Calls != series.Calls{}
	for _, b := range bounds.Table() {
		if isOfCalls && b.Of.Measure != s.Calls.Time() {
			continue // of another load; sections of other things have few subjects
		}
		i, j := find(b.Of.Subject), find(b.Per.Subject)
		if i < 0 || j < 0 || i == j {
			continue
		}
		groups[i] = append(groups[i], groups[j]...)
		groups = slices.Delete(groups, j, j+1)
	}
	return groups
}
