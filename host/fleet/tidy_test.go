// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"context"
	"testing"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/target"
)

// TestLateNoticeOfAPlaceThatIsTakenAgain has the timer of a replacement, which could not be
// stopped any more, tell of it when nothing of its entry is left and another one has its place:
// that one stays.
func TestLateNoticeOfAPlaceThatIsTakenAgain(t *testing.T) {
	never := conn.DialerFunc(func(ctx context.Context, _ target.Endpoint) (conn.Session, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	f, err := New(Options{Dialers: map[target.Placement]conn.Dialer{target.Network: never}})
	if err != nil {
		t.Fatal(err)
	}
	e := target.Endpoint{ID: target.MakeID("p", "10.0.0.1:7000"), Plugin: "p", Placement: target.Network, Address: "10.0.0.1:7000"}
	there := &discovery.Set{Synced: true, Plugins: []target.Plugin{{Name: "p"}}, Endpoints: []target.Endpoint{e}}
	f.apply(there)
	old := f.entries[place{"p", e.ID}].serving
	f.apply(&discovery.Set{Synced: true})
	for len(f.instances) > 0 {
		<-f.inbox.signal
		f.read()
	}
	f.apply(there)
	f.inbox.put(notice{instance: old, late: true})
	f.read()
	f.publish()
	if p, _ := f.Plugin("p"); len(p.Endpoints) != 1 {
		t.Errorf("it has the endpoints %v", p.Endpoints)
	}
	if err := f.shutDown(); err != nil {
		t.Error(err)
	}
}
