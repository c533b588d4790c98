// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/stub"
)

// rememberer is a greeter whose Hi configures it.
type rememberer struct {
	name  string
	times atomic.Int64
	told  atomic.Int64 // how often
}

func (r *rememberer) Hi(times int) (string, error) {
	r.times.Store(int64(times))
	r.told.Add(1)
	return "", nil
}

func (r *rememberer) Greet(name string) (string, error) {
	if r.times.Load() == 0 {
		return "", errors.New("nobody has told me how often")
	}
	return fmt.Sprintf("%s %d %s", r.name, r.times.Load(), name), nil
}

// serveRememberers serves three of them, and gives a list of their addresses with options.
func serveRememberers(t *testing.T, options string) (all map[string]*rememberer, list string, stop map[string]func()) {
	all, stop = make(map[string]*rememberer), make(map[string]func())
	for _, name := range []string{"x", "y", "z"} {
		r := &rememberer{name: name}
		address, end := serve(t, greeter{}, commons.Versions(plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: r}}))
		all[name], stop[name] = r, end
		list += "g=" + address + options + ","
	}
	return all, list, stop
}

func withKind(o daemon.Options, more ...daemon.KindOption) daemon.Options {
	more = append(more, daemon.WithSwitch(commons.SwitchGreeter))
	o.Kinds = []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{}, more...)}
	o.Versions = func(set plugin.PluginSet) map[int]plugin.PluginSet { return commons.Versions(set) }
	return o
}

// TestReplay has three endpoints, each of which must be told something first, as the
// kind says or whoever has listed the addresses.
func TestReplay(t *testing.T) {
	for name, tc := range map[string]struct {
		list string
		kind []daemon.KindOption
	}{
		"kind":   {"", []daemon.KindOption{daemon.WithReplay("Hi")}},
		"method": {"", []daemon.KindOption{daemon.WithMethod("Hi", stub.CallOptions{Replay: true})}},
		"list":   {";replay=Hi", nil},
	} {
		t.Run(name, func(t *testing.T) {
			all, list, _ := serveRememberers(t, tc.list)
			d, _ := start(t, withKind(options(list), tc.kind...))
			eventually(t, func() error {
				if p, _ := d.Plugin("g"); len(p.Endpoints) != 3 || !p.Ready {
					return errors.New("not ready")
				}
				return nil
			})
			g, err := daemon.Dispense[commons.Greeter](t.Context(), d, "g", commons.GreeterKind)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := g.Hi(7); err != nil {
				t.Fatal(err)
			}
			asked := func() (n int) {
				for _, r := range all {
					if r.told.Load() > 0 {
						n++
					}
				}
				return n
			}
			eventually(t, func() error {
				if _, err := g.Greet("Ada"); err != nil {
					t.Fatalf("an endpoint was not told: %v", err)
				}
				if asked() < 3 {
					return errors.New("an endpoint had no call")
				}
				return nil
			})
			for name, r := range all {
				if n := r.told.Load(); n != 1 {
					t.Errorf("endpoint %s was told %d times, want once", name, n)
				}
			}
		})
	}
}

// TestAffinity has calls stay with one of three endpoints, and tells of its loss.
func TestAffinity(t *testing.T) {
	for name, tc := range map[string]struct {
		list string
		kind []daemon.KindOption
	}{
		"kind": {"", []daemon.KindOption{daemon.WithAffinity()}},
		"list": {";affinity=session", nil},
	} {
		t.Run(name, func(t *testing.T) {
			all, list, stop := serveRememberers(t, tc.list)
			d, _ := start(t, withKind(options(list), tc.kind...))
			g, err := daemon.Dispense[commons.Greeter](t.Context(), d, "g", commons.GreeterKind)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := g.Hi(7); err != nil {
				t.Fatal(err)
			}
			for range 100 {
				if _, err := g.Greet("Ada"); err != nil {
					t.Fatalf("a call went to another endpoint: %v", err)
				}
			}
			for name, r := range all {
				if r.told.Load() > 0 {
					stop[name]()
				}
			}
			eventually(t, func() error {
				_, err := g.Greet("Ada")
				if !errors.Is(err, stub.ErrAffinityLost) {
					return fmt.Errorf("after the loss: %w", err)
				}
				return nil
			})
			if g, err = daemon.Dispense[commons.Greeter](t.Context(), d, "g", commons.GreeterKind); err != nil {
				t.Fatal(err)
			}
			if _, err := g.Hi(8); err != nil {
				t.Errorf("after it was dispensed again: %v", err)
			}
		})
	}
}
