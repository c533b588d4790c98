// SPDX-License-Identifier: MPL-2.0

package balancer

import "math"

// ZonePreference keeps calls in the host's own zone while enough endpoints
// are ready there. The zero value prefers none.
type ZonePreference struct {
	// Zone is the host's own. Empty turns the preference off.
	Zone string
	// MinEndpoints is how many ready endpoints the zone must have. Below one
	// means one.
	MinEndpoints int
	// MinFraction is the part of all ready endpoints that the zone must have,
	// from 0 to 1. It keeps a zone with few endpoints from being overrun by
	// a zone full of hosts.
	MinFraction float64
}

// arrange copies candidates so that the preferred ones come first, in their
// order, and says how many those are: all of them where no zone is preferred.
func arrange[T Endpoint](z ZonePreference, candidates []Candidate[T]) (ordered []Candidate[T], preferred int) {
	ordered = make([]Candidate[T], 0, len(candidates))
	var others []Candidate[T]
	for _, c := range candidates {
		if c.Zone == z.Zone {
			ordered = append(ordered, c)
		} else {
			others = append(others, c)
		}
	}
	local := len(ordered)
	least := max(1, z.MinEndpoints, int(math.Ceil(z.MinFraction*float64(len(candidates)))))
	if z.Zone == "" || local < least {
		return append(ordered[:0], candidates...), len(candidates)
	}
	return append(ordered, others...), local
}
