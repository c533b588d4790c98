// SPDX-License-Identifier: MPL-2.0

package balancer

import "fmt"

// Policy says which of several ready endpoints gets the next call. The zero
// value is RoundRobin.
type Policy uint8

const (
	// RoundRobin takes one after the other.
	RoundRobin Policy = iota
	// LeastRequest draws two at random and takes the one with fewer calls in
	// flight: nearly as even as asking all of them, at the price of two. The one
	// that was drawn last gets the next call as well if that comes within a
	// millisecond and finds it idle, as it is warm: up to 32 in a row.
	LeastRequest
)

// String gives the policy as users write it: "round-robin" or
// "least-request".
func (p Policy) String() string {
	switch p {
	case RoundRobin:
		return "round-robin"
	case LeastRequest:
		return "least-request"
	}
	return fmt.Sprintf("policy(%d)", uint8(p))
}

// MarshalText writes String. It fails for a value that is no policy.
func (p Policy) MarshalText() ([]byte, error) {
	if p > LeastRequest {
		return nil, fmt.Errorf("balancer policy %d is unknown", uint8(p))
	}
	return []byte(p.String()), nil
}

// UnmarshalText reads what String gives.
func (p *Policy) UnmarshalText(text []byte) error {
	for _, known := range []Policy{RoundRobin, LeastRequest} {
		if known.String() == string(text) {
			*p = known
			return nil
		}
	}
	return fmt.Errorf("balancer policy %q is unknown: use round-robin or least-request", text)
}
