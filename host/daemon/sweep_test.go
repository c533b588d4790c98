// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"testing"

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
			daemon.Sweep(d)
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
