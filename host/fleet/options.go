// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/reattach/reattach/host/balancer"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// Options configures a Fleet. Only Dialers must be set.
type Options struct {
	// Dialers make the sessions of a placement each. An endpoint of another
	// placement fails for good, and its status says why.
	Dialers map[target.Placement]conn.Dialer
	// Conn is what all Conns share: its Dialer is ignored, its Observe is called
	// as well. Its zero values stand for the defaults of the placement.
	Conn conn.Options
	// Balancer says which of a plugin's ready endpoints gets a call.
	Balancer balancer.Options
	// Dialect names what a session speaks, as picks ask for it: endpoints of one
	// dialect take each other's calls. It is a function of the Info alone. Nil is
	// the session's protocol.
	Dialect func(conn.Info) string
	// ReplaceTimeout is how long a new instance may take to be ready before it
	// is reported that the old one goes on: 1 min. The new one tries further.
	ReplaceTimeout time.Duration
	// DrainTimeout bounds how long calls may take to finish when Run is told to
	// end: 30 s. Conn.DrainTimeout bounds it for a single endpoint as well.
	DrainTimeout time.Duration
	// CloseTimeout is how long sessions may take to close after that: 15 s. Run
	// then returns an error that names those which did not.
	CloseTimeout time.Duration
	// Logger takes what happens. Nil discards it.
	Logger hclog.Logger
}

func (o Options) complete() (Options, error) {
	if len(o.Dialers) == 0 {
		return o, errors.New("set Dialers: without them no endpoint could be reached")
	}
	for _, p := range slices.Sorted(maps.Keys(o.Dialers)) {
		if o.Dialers[p] == nil {
			return o, fmt.Errorf("set Dialers[%s], which is nil", p)
		}
	}
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if o.Conn.Logger == nil {
		o.Conn.Logger = o.Logger
	}
	if o.Dialect == nil {
		o.Dialect = func(info conn.Info) string { return info.Protocol }
	}
	o.ReplaceTimeout = cmp.Or(o.ReplaceTimeout, time.Minute)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 30*time.Second)
	o.CloseTimeout = cmp.Or(o.CloseTimeout, 15*time.Second)
	if min(o.ReplaceTimeout, o.DrainTimeout, o.CloseTimeout) < 0 {
		return o, errors.New("ReplaceTimeout, DrainTimeout and CloseTimeout must not be negative")
	}
	o.Conn.Dialer = conn.DialerFunc(o.dial)
	if err := o.Conn.Validate(); err != nil {
		return o, fmt.Errorf("options of Conn: %w", err)
	}
	return o, nil
}

// dial hands e to the Dialer of its placement.
func (o Options) dial(ctx context.Context, e target.Endpoint) (conn.Session, error) {
	d, ok := o.Dialers[e.Placement]
	if !ok {
		return nil, conn.Permanent(fmt.Errorf("this host was built without %s plugins", e.Placement))
	}
	return d.Dial(ctx, e)
}
