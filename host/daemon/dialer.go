// SPDX-License-Identifier: MPL-2.0

package daemon

import (
	"context"
	"slices"

	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// dialer makes sessions in the dialect of what was dispensed of a plugin, and where
// the plugin does not speak that, in any: other kinds of it may be served all the same.
type dialer struct {
	whole  conn.Dialer
	one    map[string]conn.Dialer // by dialect
	wanted func(plugin string) (dialect string)
}

// newDialer makes one for the whole contract and, if something may be dispensed that
// keeps to a dialect, one for each of several.
func (d *Daemon) newDialer(contract attach.Contract, from func(attach.Contract) (conn.Dialer, error)) (conn.Dialer, error) {
	whole, err := from(contract)
	if err != nil {
		return nil, err
	}
	parts := d.dialects.each(contract)
	if len(parts) == 1 || !slices.ContainsFunc(d.opts.Kinds, func(k Kind) bool { return k.route == nil }) {
		return whole, nil
	}
	one := make(map[string]conn.Dialer, len(parts))
	for dialect, part := range parts {
		if one[dialect], err = from(part); err != nil {
			return nil, err
		}
	}
	return &dialer{whole: whole, one: one, wanted: d.wanted}, nil
}

// Dial implements conn.Dialer.
func (d *dialer) Dial(ctx context.Context, e target.Endpoint) (conn.Session, error) {
	if one := d.one[d.wanted(e.Plugin)]; one != nil {
		session, err := one.Dial(ctx, e)
		if err == nil || !attach.SpeaksOtherwise(err) {
			return session, err
		}
	}
	return d.whole.Dial(ctx, e)
}
