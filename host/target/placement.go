// SPDX-License-Identifier: MPL-2.0

package target

import "fmt"

// Placement says how an endpoint is reached. It does not say who found it:
// that is Endpoint.Source. A pod behind a Kubernetes Service is therefore a
// Network endpoint (its Zone and Node are filled in), reached exactly like an
// address that somebody wrote down.
type Placement uint8

// The placements. The zero value is none of them, so that a forgotten field
// is noticed by Validate.
const (
	// Child is an executable file that the host starts, restarts and stops.
	Child Placement = iota + 1
	// Network is a TCP address or a unix socket. The host attaches and detaches; it never
	// stops what answers there.
	Network
	// InProcess is a shared object that is loaded into the host and stays
	// loaded until the host ends.
	InProcess
)

// String gives the placement as users read and write it: "child", "network"
// or "in-process".
func (p Placement) String() string {
	switch p {
	case Child:
		return "child"
	case Network:
		return "network"
	case InProcess:
		return "in-process"
	}
	return fmt.Sprintf("placement(%d)", uint8(p))
}

// MarshalText writes String. It fails for a value that is no placement.
func (p Placement) MarshalText() ([]byte, error) {
	if p < Child || p > InProcess {
		return nil, fmt.Errorf("placement %d is unknown", uint8(p))
	}
	return []byte(p.String()), nil
}

// UnmarshalText reads what MarshalText wrote.
func (p *Placement) UnmarshalText(text []byte) error {
	for known := Child; known <= InProcess; known++ {
		if known.String() == string(text) {
			*p = known
			return nil
		}
	}
	return fmt.Errorf("placement %q is unknown: use child, network or in-process", text)
}
