// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"testing"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/manual"
	"github.com/reattach/reattach/host/target"
)

// named gives a group with one plugin at an address.
func named(name, address string) target.Group {
	return target.Group{Key: name, Plugins: []target.Plugin{{Name: name}}, Endpoints: []target.Endpoint{{
		ID: target.MakeID(name, address), Plugin: name, Placement: target.Network, Address: address,
	}}}
}

// TestNamesThatComeAndGoCostNothing: what stands behind the name of a plugin is released
// once the plugin is gone, whether or not its stub is called now and then.
func TestNamesThatComeAndGoCostNothing(t *testing.T) {
	address, _ := serve(t, greeter{greeting: "Hello"}, nil)
	source := manual.New("hand")
	o := options("")
	o.Sources = []discovery.Source{source}
	d, _ := start(t, o)
	greet := func(name string) error {
		_, err := d.Call(t.Context(), name, commons.GreeterKind, "Greet", json.RawMessage(`["Ada"]`))
		return err
	}
	held := make(map[string]commons.Greeter)
	comeAndGo := func(round int) {
		t.Helper()
		var names []string
		for i := range 20 {
			name := fmt.Sprintf("p-%d-%d", round, i)
			names = append(names, name)
			source.Update(named(name, address))
			eventually(t, func() error { return greet(name) })
			if i == 0 {
				g, err := daemon.Dispense[commons.Greeter](t.Context(), d, name, commons.GreeterKind)
				if err != nil {
					t.Fatal(err)
				}
				held[name] = g
			}
		}
		for _, name := range names {
			source.Update(target.Group{Key: name})
		}
		eventually(t, func() error {
			if n := len(d.Plugins()); n > 0 {
				return fmt.Errorf("%d plugins are left", n)
			}
			return nil
		})
		for range 3 { // now and then
			for name, g := range held {
				if _, err := g.Greet("Ada"); err == nil {
					t.Errorf("%s is gone, and answers", name)
				}
			}
			for _, name := range names {
				if err := greet(name); !errors.Is(err, daemon.ErrUnknown) {
					t.Errorf("a plugin that is gone gives %v, and one that nobody knows gives %v", err, greet("nobody"))
				}
			}
			daemon.Release(d)
		}
	}
	comeAndGo(0)
	rest := runtime.NumGoroutine()
	for round := range 4 {
		comeAndGo(round + 1)
	}
	eventually(t, func() error {
		if now := runtime.NumGoroutine(); now > rest+rest/10 {
			return fmt.Errorf("%d goroutines after four more rounds, %d after the first", now, rest)
		}
		return nil
	})
	if stubs, values, brokers := daemon.Held(d); stubs != 0 || values != 0 || brokers != 0 {
		t.Errorf("%d stubs, %d values and %d brokers are left of plugins that are gone", stubs, values, brokers)
	}
	for name, g := range held {
		source.Update(named(name, address))
		eventually(t, func() error {
			_, err := g.Greet("Ada")
			return err
		})
		break // one shows it: what was dispensed is valid still
	}
}

// busyGlue calls making while a stub is being made.
type busyGlue struct {
	*commons.PingPongerPlugin
	making func()
}

func (g *busyGlue) GRPCClient(ctx context.Context, b *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	g.making()
	return g.PingPongerPlugin.GRPCClient(ctx, b, c)
}

// TestStubThatIsMadeWhileItsPluginGoes: it has a broker of its own, and not the one that
// is released.
func TestStubThatIsMadeWhileItsPluginGoes(t *testing.T) {
	address, _ := serve(t, greeter{greeting: "Hello"}, commons.Versions(plugin.PluginSet{
		commons.GreeterKind:    &commons.GreeterPlugin{Impl: greeter{greeting: "Hello"}},
		commons.PingPongerKind: &commons.PingPongerPlugin{Impl: ponger{}},
	}))
	source := manual.New("hand")
	glue := &busyGlue{PingPongerPlugin: &commons.PingPongerPlugin{}, making: func() {}}
	o := options("")
	o.Sources = []discovery.Source{source}
	o.Kinds = []daemon.Kind{
		daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{}, daemon.WithSwitch(commons.SwitchGreeter)),
		daemon.NewKind[commons.PingPonger](commons.PingPongerKind, glue, daemon.WithSwitch(commons.SwitchPingPonger)),
	}
	d, _ := start(t, o)
	source.Update(named("p", address))
	eventually(t, func() error {
		_, err := d.Call(t.Context(), "p", commons.GreeterKind, "Greet", json.RawMessage(`["Ada"]`))
		return err
	})
	made := 0
	glue.making = func() {
		if made++; made > 1 {
			return
		}
		source.Update(target.Group{Key: "p"})
		eventually(t, func() error {
			if n := len(d.Plugins()); n > 0 {
				return fmt.Errorf("%d plugins are left", n)
			}
			return nil
		})
		daemon.Release(d)
	}
	if _, err := daemon.Dispense[commons.PingPonger](t.Context(), d, "p", commons.PingPongerKind); err != nil {
		t.Fatal(err)
	}
	if stubs, _, brokers := daemon.Held(d); stubs != 1 || brokers != 1 {
		t.Errorf("there are %d stubs and %d brokers, want one of each", stubs, brokers)
	}
}

// TestNamesThatNobodyCalls cost nothing either, once they are gone.
func TestNamesThatNobodyCalls(t *testing.T) {
	address, _ := serve(t, greeter{greeting: "Hello"}, nil)
	source := manual.New("hand")
	o := options("")
	o.Sources = []discovery.Source{source}
	d, _ := start(t, o)
	source.Update(named("p", address))
	eventually(t, func() error {
		if p, _ := d.Plugin("p"); !p.Ready {
			return errors.New("it is not ready")
		}
		return nil
	})
	source.Update(target.Group{Key: "p"})
	eventually(t, func() error {
		if n := len(d.Plugins()); n > 0 {
			return fmt.Errorf("%d plugins are left", n)
		}
		return nil
	})
	daemon.Release(d)
	if stubs, values, brokers := daemon.Held(d); stubs != 0 || values != 0 || brokers != 0 {
		t.Errorf("%d stubs, %d values and %d brokers are left of a plugin that is gone", stubs, values, brokers)
	}
}
