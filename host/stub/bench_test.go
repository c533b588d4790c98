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

// BenchmarkRPC compares routed calls with those right on a session.
func BenchmarkRPC(b *testing.B) {
	set := plugin.PluginSet{"shop": &shopRPC{newLedger()}}
	benchmarkRouted(b, set, plugin.ProtocolNetRPC, func(c *crew, raw any) (unrouted, routed func() error) {
		call := func(client *rpc.Client) func() error {
			return func() error {
				var reply string
				return client.Call("Plugin.Get", "name", &reply)
			}
		}
		return call(raw.(*shopClient).rpc), call(shopStub(b, c).rpc)
	})
}

// BenchmarkGRPC does the same over gRPC.
func BenchmarkGRPC(b *testing.B) {
	set := plugin.PluginSet{"shop": &shopGRPC{ledger: newLedger()}}
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	benchmarkRouted(b, set, plugin.ProtocolGRPC, func(c *crew, raw any) (unrouted, routed func() error) {
		call := func(shop *shopCaller) func() error {
			return func() error {
				_, err := callText(ctx, shop.conn, "/test.Shop/Get", "name")
				return err
			}
		}
		return call(raw.(*shopCaller)), call(grpcShop(b, c, nil))
	})
}

// benchmarkRouted starts pods, and measures what callers makes of a crew and a
// client of one of its sessions.
func benchmarkRouted(b *testing.B, set plugin.PluginSet, protocol plugin.Protocol, callers func(c *crew, raw any) (unrouted, routed func() error)) {
	for _, n := range []int{1, 3, 100} {
		var pods []*pod
		for range n {
			pods = append(pods, startPod(b, "pod", set, protocol == plugin.ProtocolGRPC))
		}
		c := startCrew(b, pods, protocol)
		c.awaitReady(b, n)
		raw, err := c.ready[0].Dispense("shop")
		if err != nil {
			b.Fatal(err)
		}
		unrouted, routed := callers(c, raw)
		if n == 1 {
			benchmarkCalls(b, "unrouted", unrouted)
		}
		benchmarkCalls(b, fmt.Sprintf("routed/endpoints=%d", n), routed)
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
