// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"context"
	"testing"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/target"
)

// TestViewIsSyncedWithItsEndpoints looks at a fleet that has taken in its first set and not shown
// it yet, as it may be seen when it begins to connect: a view that says that all is known has
// the endpoints.
func TestViewIsSyncedWithItsEndpoints(t *testing.T) {
	never := conn.DialerFunc(func(ctx context.Context, _ target.Endpoint) (conn.Session, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	f, err := New(Options{Dialers: map[target.Placement]conn.Dialer{target.Network: never}})
	if err != nil {
		t.Fatal(err)
	}
	e := target.Endpoint{ID: target.MakeID("p", "10.0.0.1:7000"), Plugin: "p", Placement: target.Network, Address: "10.0.0.1:7000"}
	problem := target.Problem{Subject: "q", Reason: "none"}
	f.apply(&discovery.Set{Synced: true, Plugins: []target.Plugin{{Name: "p"}}, Endpoints: []target.Endpoint{e}, Problems: []target.Problem{problem}})
	if v := f.View(); v.Synced || len(v.Problems) > 0 {
		t.Errorf("before it is shown: %+v", v)
	}
	f.publish()
	if v := f.View(); !v.Synced || len(v.Plugins) != 1 || len(v.Plugins[0].Endpoints) != 1 || len(v.Problems) != 1 {
		t.Errorf("afterwards: %+v", v)
	}
	if err := f.shutDown(); err != nil {
		t.Error(err)
	}
}
