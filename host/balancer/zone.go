// SPDX-License-Identifier: MPL-2.0

package balancer

import (
	"math"
	"slices"
	"strings"
)

// ZonePreference keeps calls near the host: on the endpoints that the cluster means for
// its node or zone, where it means each for some, and else in the host's own zone while
// enough endpoints are ready there. The zero value prefers none.
type ZonePreference struct {
	// Zone and Node are the host's own. Empty turns the preference for them off.
	Zone, Node string
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
	node := func(c Candidate[T]) string { return c.ForNodes }
	zone := func(c Candidate[T]) string { return c.ForZones }
	switch {
	case meant(z.Node, candidates, node):
		return split(candidates, func(c Candidate[T]) bool { return names(c.ForNodes, z.Node) })
	case meant(z.Zone, candidates, zone):
		return split(candidates, func(c Candidate[T]) bool { return names(c.ForZones, z.Zone) })
	}
	ordered, local := split(candidates, func(c Candidate[T]) bool { return c.Zone == z.Zone })
	least := max(1, z.MinEndpoints, int(math.Ceil(z.MinFraction*float64(len(candidates)))))
	if z.Zone == "" || local < least {
		return append(ordered[:0], candidates...), len(candidates)
	}
	return ordered, local
}

// meant reports whether each candidate is meant for some places, and one of them for
// own: where one has no hint, hints are on their way in or out, as kube-proxy has it.
func meant[T Endpoint](own string, candidates []Candidate[T], hint func(Candidate[T]) string) bool {
	if own == "" || slices.ContainsFunc(candidates, func(c Candidate[T]) bool { return hint(c) == "" }) {
		return false
	}
	return slices.ContainsFunc(candidates, func(c Candidate[T]) bool { return names(hint(c), own) })
}

// names reports whether a comma list has a name.
func names(list, name string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if one == name {
			return true
		}
	}
	return false
}

// split copies candidates, those first of which first reports true, and counts these.
func split[T Endpoint](candidates []Candidate[T], first func(Candidate[T]) bool) (ordered []Candidate[T], count int) {
	ordered = make([]Candidate[T], 0, len(candidates))
	var others []Candidate[T]
	for _, c := range candidates {
		if first(c) {
			ordered = append(ordered, c)
		} else {
			others = append(others, c)
		}
	}
	return append(ordered, others...), len(ordered)
}
