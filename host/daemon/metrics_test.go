// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/manual"
	"github.com/reattach/reattach/host/target"
)

func TestMetrics(t *testing.T) {
	address, _ := serve(t, greeter{greeting: "Hello"}, nil)
	registry := prometheus.NewPedanticRegistry()
	source := manual.New("hand")
	o := options("")
	o.Sources, o.Registerer = []discovery.Source{source}, registry
	d, _ := start(t, o)
	there := target.Group{Key: "g", Endpoints: []target.Endpoint{{
		ID: target.MakeID("greeter", address), Plugin: "greeter", Placement: target.Network, Address: address,
	}}}
	source.Update(there)
	call := func() {
		t.Helper()
		if _, err := d.Call(t.Context(), "greeter", "greeter", "Greet", json.RawMessage(`["Ada"]`)); err != nil {
			t.Fatal(err)
		}
	}
	has := func(want map[string]float64) error {
		got, err := gather(registry)
		if err != nil {
			return err
		}
		for name, value := range want {
			if got[name] != value {
				return fmt.Errorf("%s is %v, want %v, among %v", name, got[name], value, got)
			}
		}
		return nil
	}
	ready := func() error { return has(map[string]float64{"reattach_plugin_ready greeter": 1}) }
	eventually(t, ready) // before that the daemon may not know the name
	for range 3 {
		call()
	}
	held, err := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter", commons.GreeterKind)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error {
		return has(map[string]float64{
			"reattach_calls_total none greeter Greet greeter":      3,
			"reattach_call_duration_seconds greeter Greet greeter": 3,
			"reattach_attaches_total greeter":                      1,
			"reattach_endpoints greeter READY":                     1,
			"reattach_plugin_ready greeter":                        1,
			"reattach_discovery_errors_total hand":                 0,
		})
	})
	source.Update(target.Group{Key: "g"})
	eventually(t, func() error {
		got, err := gather(registry)
		for name := range got {
			if strings.Contains(name, "greeter") {
				return fmt.Errorf("the plugin is gone and has %s, %w", name, err)
			}
		}
		return err
	})
	if _, err := held.Greet("Ada"); err == nil {
		t.Error("a plugin that is gone has answered")
	}
	eventually(t, func() error { // an outage that nothing else shows
		return has(map[string]float64{"reattach_calls_total network greeter Greet greeter": 1})
	})
	source.Update(there)
	eventually(t, ready)
	call()
	eventually(t, func() error {
		return has(map[string]float64{
			"reattach_calls_total none greeter Greet greeter":      1,
			"reattach_call_duration_seconds greeter Greet greeter": 2,
		})
	})
	if _, err := daemon.New(o); err == nil || !strings.Contains(err.Error(), "Registerer") {
		t.Errorf("the same registry twice gave %v", err)
	}
}

// gather gives every series by its name and the values of its labels.
func gather(g prometheus.Gatherer) (map[string]float64, error) {
	families, err := g.Gather()
	if err != nil {
		return nil, err
	}
	all := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			all[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all, nil
}
