// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"context"
	"errors"
	"fmt"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// Dialers is a conn.Dialer that hands each endpoint to the dialer of its
// placement. A nil dialer means that this host does not use the placement.
type Dialers struct {
	Child     conn.Dialer
	Network   conn.Dialer
	InProcess conn.Dialer
}

var _ conn.Dialer = Dialers{}

var (
	errNoChild     = errors.New("this host starts no child processes")
	errNoNetwork   = errors.New("this host attaches to no network plugins")
	errNoInProcess = errors.New("in-process shared objects are off in this host: it was built without them " +
		"(they need CGO_ENABLED=1), or does not ask for them; run the plugin as a child or on the network instead")
)

// Dial dials e with the dialer of its placement. Without one, the error is
// permanent.
func (d Dialers) Dial(ctx context.Context, e target.Endpoint) (conn.Session, error) {
	dialer, missing := d.of(e.Placement)
	if missing != nil {
		return nil, conn.Permanent(fmt.Errorf("attach to %s: %w", e.Address, missing))
	}
	return dialer.Dial(ctx, e)
}

func (d Dialers) of(p target.Placement) (conn.Dialer, error) {
	dialer, missing := conn.Dialer(nil), error(nil)
	switch p {
	case target.Child:
		dialer, missing = d.Child, errNoChild
	case target.Network:
		dialer, missing = d.Network, errNoNetwork
	case target.InProcess:
		dialer, missing = d.InProcess, errNoInProcess
	default:
		return nil, fmt.Errorf("placement %s is unknown", p)
	}
	if dialer == nil {
		return nil, missing
	}
	return dialer, nil
}
