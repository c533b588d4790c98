// SPDX-License-Identifier: MPL-2.0

package dialertest

import (
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/attach"
	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/target"
)

// Benchmark measures one call after the other, and many at once, over both
// protocols, on one session with the plugin of package served at e.
func Benchmark(b *testing.B, e target.Endpoint, dialer func(attach.Contract) conn.Dialer) {
	for name, c := range map[string]attach.Contract{
		"net_rpc": only(commons.VersionNetRPC, plugin.ProtocolNetRPC),
		"gRPC":    only(commons.VersionGRPC, plugin.ProtocolGRPC),
	} {
		session, err := dialer(c).Dial(b.Context(), e)
		if err != nil {
			b.Fatal(err)
		}
		greet := greeter(b, session)
		b.Run(name+"/one by one", func(b *testing.B) {
			for b.Loop() {
				if _, err := greet("Ada"); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/parallel", func(b *testing.B) {
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := greet("Ada"); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
		if err := session.Close(); err != nil {
			b.Error(err)
		}
	}
}
