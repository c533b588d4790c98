// SPDX-License-Identifier: MPL-2.0

package fleet

import (
	"context"
	"testing"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/target"
)

func TestPoolsThatNobodyHoldsAreForgotten(t *testing.T) {
	none := conn.DialerFunc(func(ctx context.Context, _ target.Endpoint) (conn.Session, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	})
	f, err := New(Options{Dialers: map[target.Placement]conn.Dialer{target.Network: none}})
	if err != nil {
		t.Fatal(err)
	}
	f.apply(&discovery.Set{Synced: true, Plugins: []target.Plugin{{Name: "known"}}})
	f.publish()
	for _, name := range []string{"known", "nobody", "held"} {
		p := f.Pool(name)
		if p != f.Pool(name) {
			t.Errorf("%s has two pools", name)
		}
		p.Release()
		if p != f.Pool(name) {
			t.Errorf("%s was forgotten though it is held", name)
		}
		p.Release()
		if name != "held" {
			p.Release()
		}
	}
	if f.pools["known"] == nil || f.pools["held"] == nil || len(f.pools) != 2 {
		t.Errorf("pools are %v, want those that are known or held", f.pools)
	}
	f.apply(&discovery.Set{Synced: true})
	f.publish()
	if f.pools["held"] == nil || len(f.pools) != 1 {
		t.Errorf("pools are %v, want that which is held", f.pools)
	}
}
