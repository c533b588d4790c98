// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"net/rpc"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
)

// listed is a greeter that cannot be compared, as it is a value with a slice.
type listed struct {
	commons.Greeter
	_ []string
}

type listedGlue struct{ *commons.GreeterPlugin }

func (g listedGlue) Client(b *plugin.MuxBroker, c *rpc.Client) (any, error) {
	raw, err := g.GreeterPlugin.Client(b, c)
	if err != nil {
		return nil, err
	}
	return listed{Greeter: raw.(commons.Greeter)}, nil
}

// TestDispenseOfWhatCannotBeCompared: a kind's glue may give any value.
func TestDispenseOfWhatCannotBeCompared(t *testing.T) {
	address, _ := serve(t, greeter{greeting: "Hello"}, map[int]plugin.PluginSet{
		1: commons.NetRPC(plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: greeter{greeting: "Hello"}}}),
	})
	o := options("listed=" + address)
	o.Kinds = []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, listedGlue{&commons.GreeterPlugin{}})}
	o.Versions = func(set plugin.PluginSet) map[int]plugin.PluginSet {
		return map[int]plugin.PluginSet{1: commons.NetRPC(set)}
	}
	d, _ := start(t, o)
	for range 2 {
		g, err := daemon.Dispense[commons.Greeter](t.Context(), d, "listed", commons.GreeterKind)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := g.Greet("Ada"); err != nil {
			t.Errorf("it answers %q, %v", got, err)
		}
	}
}
