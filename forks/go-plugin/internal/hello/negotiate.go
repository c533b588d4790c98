// SPDX-License-Identifier: MPL-2.0

package hello

import (
	"cmp"
	"slices"
)

// Offer is one way in which a plugin can serve a session.
type Offer struct {
	Version  int
	Protocol string
	// Features the plugin can grant in this version and protocol.
	Features []string
}

// Agreement is what both sides of a session have agreed on.
type Agreement struct {
	Version  int
	Protocol string
	// Features that the host asked for and the plugin grants, in the host's order.
	Features []string
	// MaxMessage is how many bytes one message to the other side may have; zero: it
	// did not say.
	MaxMessage int
}

// Has reports whether a feature is part of the session.
func (a Agreement) Has(feature string) bool { return slices.Contains(a.Features, feature) }

// Negotiate chooses how to serve req: the highest version that both sides have
// in a protocol that the host takes, and among protocols of that version the
// one the host prefers. A zero cookie is not compared. The error is always a
// *Refusal, ready to be written.
func Negotiate(req *Request, cookie Cookie, offers []Offer) (Agreement, error) {
	if refusal := CheckCookie(req.Cookie, cookie); refusal != nil {
		return Agreement{}, refusal
	}
	common := slices.DeleteFunc(slices.Clone(offers), func(o Offer) bool {
		return !slices.Contains(req.Versions, o.Version)
	})
	if len(common) == 0 {
		return Agreement{}, refuseVersion(req, offers)
	}
	rank := func(o Offer) int { return slices.Index(req.Protocols, o.Protocol) } // -1: the host does not take it
	// Stable, so that of two equal offers the first wins.
	slices.SortStableFunc(common, func(a, b Offer) int {
		return cmp.Or(cmp.Compare(b.Version, a.Version), cmp.Compare(rank(a), rank(b)))
	})
	i := slices.IndexFunc(common, func(o Offer) bool { return rank(o) >= 0 })
	if i < 0 {
		return Agreement{}, refuseProtocol(req, common)
	}
	best := common[i]
	return Agreement{
		Version: best.Version, Protocol: best.Protocol, Features: shared(req.Features, best.Features), MaxMessage: req.MaxMessage,
	}, nil
}

func shared(wanted, granted []string) []string {
	var both []string
	for _, f := range wanted {
		if slices.Contains(granted, f) && !slices.Contains(both, f) {
			both = append(both, f)
		}
	}
	return both
}
