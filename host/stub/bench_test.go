// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"fmt"
	"net/rpc"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
)

// BenchmarkRPC compares a routed call with one right on the session.
func BenchmarkRPC(b *testing.B) {
	set := plugin.PluginSet{"shop": &shopRPC{newLedger()}}
	p := startPod(b, "pod", set, false)
	c := startCrew(b, []*pod{p}, plugin.ProtocolNetRPC)
	c.awaitReady(b, 1)
	raw, err := c.ready[0].Dispense("shop")
	if err != nil {
		b.Fatal(err)
	}
	for name, client := range map[string]*rpc.Client{
		"unrouted": raw.(*shopClient).rpc,
		"routed":   shopStub(b, c).rpc,
	} {
		benchmarkCalls(b, name, func() error {
			var reply string
			return client.Call("Plugin.Get", "name", &reply)
		})
	}
}

// BenchmarkGRPC does the same over gRPC.
func BenchmarkGRPC(b *testing.B) {
	set := plugin.PluginSet{"shop": &shopGRPC{ledger: newLedger()}}
	p := startPod(b, "pod", set, true)
	c := startCrew(b, []*pod{p}, plugin.ProtocolGRPC)
	c.awaitReady(b, 1)
	raw, err := c.ready[0].Dispense("shop")
	if err != nil {
		b.Fatal(err)
	}
	for name, shop := range map[string]*shopCaller{
		"unrouted": raw.(*shopCaller),
		"routed":   grpcShop(b, c, nil),
	} {
		ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
		defer cancel()
		benchmarkCalls(b, name, func() error {
			_, err := callText(ctx, shop.conn, "/test.Shop/Get", "name")
			return err
		})
	}
}

// benchmarkCalls measures one caller, and 64 at once.
func benchmarkCalls(b *testing.B, name string, call func() error) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("%s/callers=%d", name, callers), func(b *testing.B) {
			b.ReportAllocs()
			if err := call(); err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range callers {
				share := b.N / callers
				if i < b.N%callers {
					share++
				}
				wg.Go(func() {
					for range share {
						if err := call(); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}
