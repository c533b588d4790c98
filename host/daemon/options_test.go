// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/daemon"
)

func TestOptions(t *testing.T) {
	good := func() daemon.Options { return options("a=127.0.0.1:1") }
	cases := map[string]struct {
		reason string
		change func(*daemon.Options)
		want   string
	}{
		"nothing":   {"the usual options are good", func(*daemon.Options) {}, ""},
		"cookie":    {"plugins would refuse", func(o *daemon.Options) { o.Handshake.MagicCookieValue = "" }, "option Handshake"},
		"no kinds":  {"nothing could be dispensed", func(o *daemon.Options) { o.Kinds = nil }, "option Kinds is empty"},
		"zero kind": {"a Kind has a constructor", func(o *daemon.Options) { o.Kinds = []daemon.Kind{{}} }, "not made by NewKind"},
		"twice":     {"one would hide the other", func(o *daemon.Options) { o.Kinds = append(o.Kinds, o.Kinds[0]) }, `kind "greeter" is named twice`},
		"nowhere":   {"nothing would ever be found", func(o *daemon.Options) { o.NetworkPlugins = "" }, "are all empty"},
		"addresses": {"a list is read at once", func(o *daemon.Options) { o.NetworkPlugins = "a" }, "option NetworkPlugins"},
		"required":  {"a name is a name", func(o *daemon.Options) { o.Required = []string{"a/b"} }, "option Required"},
		"timeout":   {"no time is no time", func(o *daemon.Options) { o.CallTimeout = 0 }, "option CallTimeout 0s"},
		"TLS":       {"files are read at once", func(o *daemon.Options) { o.TLS.CA = "/does/not/exist" }, "HOST_TLS_CA_FILE"},
		"versions": {"a host without a version talks to nobody", func(o *daemon.Options) {
			o.Versions = func(plugin.PluginSet) map[int]plugin.PluginSet { return nil }
		}, "option Versions"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := good()
			tc.change(&o)
			_, err := daemon.New(o)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%s: got %v, want %q", tc.reason, err, tc.want)
			}
		})
	}
}
