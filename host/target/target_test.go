// SPDX-License-Identifier: MPL-2.0

package target_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/reattach/reattach/host/target"
)

func network(plugin, address string) target.Endpoint {
	return target.Endpoint{
		ID: target.MakeID(plugin, address), Plugin: plugin,
		Placement: target.Network, Address: address,
	}
}

func TestEndpointValidate(t *testing.T) {
	good := network("zh", "pluginzh:7000")
	edit := func(f func(*target.Endpoint)) target.Endpoint {
		e := good
		f(&e)
		return e
	}
	cases := map[string]struct {
		reason string
		in     target.Endpoint
		want   string // "" for valid
	}{
		"Name":        {"a name and a port is the usual address", good, ""},
		"IPv6":        {"IPv6 addresses come in brackets", network("zh", "[::1]:7000"), ""},
		"IPv6Zone":    {"a link-local address has a zone", network("zh", "[fe80::1%eth0]:7000"), ""},
		"NoID":        {"an ID is needed to diff sets", edit(func(e *target.Endpoint) { e.ID = "" }), `endpoint of plugin "zh" at "pluginzh:7000": ID is empty`},
		"NoPlugin":    {"a plugin has a name", edit(func(e *target.Endpoint) { e.Plugin = "" }), `endpoint "zh@pluginzh:7000": plugin name is empty`},
		"BadName":     {"a slash would break URL paths", edit(func(e *target.Endpoint) { e.Plugin = "a/b" }), `endpoint "zh@pluginzh:7000": plugin name "a/b": character '/' is not allowed`},
		"NoPlacement": {"the zero placement is a forgotten one", edit(func(e *target.Endpoint) { e.Placement = 0 }), `endpoint "zh@pluginzh:7000": placement 0 is unknown`},
		"NoPort":      {"a port cannot be guessed", edit(func(e *target.Endpoint) { e.Address = "h" }), `endpoint "zh@pluginzh:7000": address "h" is not host:port: missing port in address`},
		"NoHost":      {"an empty host would dial this machine", edit(func(e *target.Endpoint) { e.Address = ":1" }), `endpoint "zh@pluginzh:7000": address ":1": the host is missing`},
		"PortZero":    {"nobody listens on port 0", edit(func(e *target.Endpoint) { e.Address = "h:0" }), `endpoint "zh@pluginzh:7000": address "h:0": port "0" is not a number from 1 to 65535`},
		"PortLarge":   {"ports have 16 bits", edit(func(e *target.Endpoint) { e.Address = "h:65536" }), `endpoint "zh@pluginzh:7000": address "h:65536": port "65536" is not a number from 1 to 65535`},
		"File":        {"a child has a path", edit(func(e *target.Endpoint) { e.Placement, e.Address = target.Child, "/bin/x.po" }), ""},
		"Relative":    {"a relative path changes its meaning with the directory", edit(func(e *target.Endpoint) { e.Placement, e.Address = target.InProcess, "x.so" }), `endpoint "zh@pluginzh:7000": address "x.so": a file needs an absolute path`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, text(tc.in.Validate())); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

func TestSameInstance(t *testing.T) {
	base := network("zh", "h:1")
	cases := map[string]struct {
		reason string
		edit   func(*target.Endpoint)
		want   bool
	}{
		"Same":        {"nothing differs", func(*target.Endpoint) {}, true},
		"Draining":    {"the same instance may start to drain", func(e *target.Endpoint) { e.Draining = true }, true},
		"Hints":       {"hints do not change the session", func(e *target.Endpoint) { e.Zone, e.Node, e.Source = "z", "n", "s" }, true},
		"Fingerprint": {"a new pod behind the same address", func(e *target.Endpoint) { e.Fingerprint = "uid" }, false},
		"ServerName":  {"the certificate must be verified anew", func(e *target.Endpoint) { e.ServerName = "other" }, false},
		"Address":     {"another address is another connection", func(e *target.Endpoint) { e.Address = "h:2" }, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			other := base
			tc.edit(&other)
			if got := base.SameInstance(other); got != tc.want {
				t.Errorf("%s: got %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}

func TestPlacementText(t *testing.T) {
	in := []target.Placement{target.Child, target.Network, target.InProcess}
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`["child","network","in-process"]`, string(raw)); diff != "" {
		t.Errorf("written (-want +got)\n%s", diff)
	}
	var out []target.Placement
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, out); diff != "" {
		t.Errorf("read back (-want +got)\n%s", diff)
	}
	if _, err := target.Placement(0).MarshalText(); err == nil {
		t.Error("the zero placement was written")
	}
	if err := new(target.Placement).UnmarshalText([]byte("pod")); err == nil || !strings.Contains(err.Error(), `"pod"`) {
		t.Errorf("unknown text: got %v, want an error that names it", err)
	}
}

func TestGroupValidate(t *testing.T) {
	a, bad := network("a", "h:1"), network("a", "h:0")
	cases := map[string]struct {
		reason string
		in     target.Group
		want   string
	}{
		"Empty":       {"a group without endpoints withdraws its key", target.Group{Key: "k"}, ""},
		"NoKey":       {"without a key it cannot be replaced", target.Group{}, `group "": key is empty`},
		"Twice":       {"IDs are unique", target.Group{Key: "k", Endpoints: []target.Endpoint{a, a}}, `group "k": endpoint "a@h:1" appears twice`},
		"BadEndpoint": {"endpoints are checked too", target.Group{Key: "k", Endpoints: []target.Endpoint{bad}}, `group "k": endpoint "a@h:0": address "h:0": port "0" is not a number from 1 to 65535`},
		"BadPlugin":   {"so are declared plugins", target.Group{Key: "k", Plugins: []target.Plugin{{}}}, `group "k": plugin name is empty`},
		"PluginTwice": {"required or not must be one answer", target.Group{Key: "k", Plugins: []target.Plugin{{Name: "a"}, {Name: "a", Required: true}}}, `group "k": plugin "a" is declared twice`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, text(tc.in.Validate())); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

func TestGroupEqual(t *testing.T) {
	a, b := network("a", "h:1"), network("b", "h:2")
	drains := a
	drains.Draining = true
	base := target.Group{Key: "k", Endpoints: []target.Endpoint{a, b}}
	cases := map[string]struct {
		reason string
		in     target.Group
		want   bool
	}{
		"Same":     {"equal to itself", base, true},
		"Clone":    {"a clone says the same", base.Clone(), true},
		"Order":    {"order carries no meaning", target.Group{Key: "k", Endpoints: []target.Endpoint{b, a}}, true},
		"Key":      {"another key", target.Group{Key: "l", Endpoints: base.Endpoints}, false},
		"Fewer":    {"one is gone", target.Group{Key: "k", Endpoints: []target.Endpoint{a}}, false},
		"Draining": {"every field counts", target.Group{Key: "k", Endpoints: []target.Endpoint{drains, b}}, false},
		"Problem":  {"problems count", target.Group{Key: "k", Endpoints: base.Endpoints, Problems: []target.Problem{{Subject: "f", Reason: "r"}}}, false},
		"Plugin":   {"declared plugins count", target.Group{Key: "k", Endpoints: base.Endpoints, Plugins: []target.Plugin{{Name: "c"}}}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := base.Equal(tc.in); got != tc.want {
				t.Errorf("%s: got %v, want %v", tc.reason, got, tc.want)
			}
		})
	}
}

func TestGroupCloneSharesNothing(t *testing.T) {
	base := target.Group{
		Key: "k", Plugins: []target.Plugin{{Name: "a"}},
		Endpoints: []target.Endpoint{network("a", "h:1")}, Problems: []target.Problem{{Subject: "f", Reason: "r"}},
	}
	clone := base.Clone()
	clone.Plugins[0].Name, clone.Endpoints[0].ID, clone.Problems[0].Reason = "x", "x", "x"
	want := target.Group{
		Key: "k", Plugins: []target.Plugin{{Name: "a"}},
		Endpoints: []target.Endpoint{network("a", "h:1")}, Problems: []target.Problem{{Subject: "f", Reason: "r"}},
	}
	if diff := cmp.Diff(want, base); diff != "" {
		t.Errorf("the original changed with its clone (-want +got)\n%s", diff)
	}
	if base.Empty() || !(target.Group{Key: "k"}).Empty() {
		t.Error("Empty: a key alone is empty, anything more is not")
	}
	if diff := cmp.Diff("f: r", base.Problems[0].String()); diff != "" {
		t.Errorf("problem as text (-want +got)\n%s", diff)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
