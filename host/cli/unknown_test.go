// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/api"
	"github.com/reattach/reattach/host/daemon"
)

// TestUnknownPlugin holds that whoever misspells a plugin is told at once which there are, by each
// command that takes a name.
func TestUnknownPlugin(t *testing.T) {
	address := servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()})
	url := serveAPI(t, address)
	gone := filepath.Join(t.TempDir(), "gone")
	const known = "basic: plugin \"hz\" is unknown: known are zh\n"
	cases := map[string]struct {
		reason  string
		network string
		dir     string
		args    string
		want    string
	}{
		"call":             {"the usual", "zh=" + address, "", "call hz greeter.Greet Ada", known},
		"call, daemon":     {"it says so itself", "", "", "call hz greeter.Greet Ada --server " + url, known},
		"describe":         {"the same words", "zh=" + address, "", "describe hz", known},
		"describe, daemon": {"likewise", "", "", "describe hz --server " + url, known},
		"events":           {"nothing has happened to it, which is no empty table", "zh=" + address, "", "events --plugin zh,hz", known},
		"events, daemon":   {"likewise", "", "", "events --plugin hz --server " + url, known},
		"doctor":           {"of those that it can walk to", "zh=" + address, "", "doctor hz", "basic: no network plugin \"hz\" is named by NETWORK_PLUGIN or NETWORK_PLUGIN_DIR, which name zh: give an address, or service/NAME; --all looks at PLUGIN_DIR, too\n"},
		"probe":            {"it takes an address", "zh=" + address, "", "probe zh", "basic: address \"zh\" is not host:port: missing port in address; a plugin's name is for basic doctor\n"},
		"nothing, call":    {"what was looked at is said", "", gone, "call hz greeter.Greet Ada", "basic: plugin \"hz\" is unknown: none is known; " + gone + ": the plugin directory does not exist: create it; it is looked for every 5s\n"},
		"nothing, show":    {"likewise", "", gone, "describe hz", "basic: plugin \"hz\" is unknown: none is known; " + gone + ": the plugin directory does not exist: create it; it is looked for every 5s\n"},
		"nothing, events":  {"likewise", "", gone, "events --plugin hz", "basic: plugin \"hz\" is unknown: none is known; " + gone + ": the plugin directory does not exist: create it; it is looked for every 5s\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PLUGIN_DIR", "")
			t.Setenv("NETWORK_PLUGIN", tc.network)
			t.Setenv("NETWORK_PLUGIN_DIR", tc.dir)
			if got := line(t, basic(), exitUsage, strings.Fields(tc.args)...); got != tc.want {
				t.Errorf("%s: it says %q, want %q", tc.reason, got, tc.want)
			}
		})
	}
}

// TestWaitForUnknownPlugin has a daemon that cannot tell yet whether there is a plugin: who waits
// for it is told which there are, and in the end which source has said nothing.
func TestWaitForUnknownPlugin(t *testing.T) {
	t.Setenv("PLUGIN_DIR", "")
	address := servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()})
	var d *daemon.Daemon
	url := serveDaemon(t, address, func(o *daemon.Options) {
		o.Sources, o.CallTimeout = append(o.Sources, new(mutely)), time.Hour
	}, func(a *api.Options) { d = a.Daemon })
	line(t, basic(), exitOK, "call", "zh", "greeter.Greet", "Ada", "--server", url) // it is found
	_, said, code := waits(t, basic(), atOnce(), func(interrupt func()) { interrupt() }, "call", "hz", "greeter.Greet", "Ada", "--server", url)
	if want := "basic: waiting for plugin hz, which is not found yet: known are zh\nbasic: interrupted\n"; said != want || code != exitInterrupted {
		t.Errorf("it says %q with exit code %d, want %q", said, code, want)
	}
	_, said, code = waits(t, basic(), atOnce(), func(interrupt func()) { interrupt() }, "events", "--follow", "--plugin", "hz", "--server", url)
	if want := "basic: waiting for plugin hz, which is not found yet: known are zh\n"; said != want || code != exitOK {
		t.Errorf("events: it says %q with exit code %d, want %q", said, code, want)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
	defer cancel()
	_, err := d.Call(ctx, "hz", commons.GreeterKind, "Greet", json.RawMessage(`["Ada"]`))
	want := "no endpoint of hz is ready: none is found yet; known are zh (context deadline exceeded); source mutely: it has not delivered anything yet"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("it ends with %v, want %q", err, want)
	}
}
