// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/balancer"
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
		"TLS":       {"files are read at once", func(o *daemon.Options) { o.TLS.CA = "/does/not/exist" }, "option TLS.CA"},
		"versions": {"a host without a version talks to nobody", func(o *daemon.Options) {
			o.Versions = func(plugin.PluginSet) map[int]plugin.PluginSet { return nil }
		}, "option Versions"},
		"switch": {"a value speaks one protocol", func(o *daemon.Options) {
			o.Kinds[1] = daemon.NewKind[commons.PingPonger](commons.PingPongerKind, &commons.PingPongerPlugin{})
		}, `option Versions: kind "pingponger" is spoken as grpc v2 and as netrpc v1, and a value of it knows one of them: make the kind with daemon.WithSwitch`},
		"other glue": {"a value speaks one version", func(o *daemon.Options) {
			o.Kinds[1] = daemon.NewKind[commons.PingPonger](commons.PingPongerKind, &commons.PingPongerPlugin{})
			o.Versions = func(set plugin.PluginSet) map[int]plugin.PluginSet {
				return map[int]plugin.PluginSet{5: set, 6: {commons.PingPongerKind: &commons.PingPongerPlugin{Impl: ponger{}}}}
			}
		}, `kind "pingponger" is spoken as grpc v5 and as grpc v6`},
		"same glue": {"versions that do not differ need no switch", func(o *daemon.Options) {
			o.Kinds[1] = daemon.NewKind[commons.PingPonger](commons.PingPongerKind, &commons.PingPongerPlugin{})
			o.Versions = func(set plugin.PluginSet) map[int]plugin.PluginSet {
				return map[int]plugin.PluginSet{5: set, 6: set, 7: {commons.PingPongerKind: set[commons.PingPongerKind]}}
			}
		}, ""},
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

// TestDefaultOptions holds the numbers that the comments of Options name.
func TestDefaultOptions(t *testing.T) {
	o := daemon.DefaultOptions()
	got := []any{o.Balancer.Policy, o.CallTimeout, o.AttachTimeout, o.DrainTimeout, o.StopTimeout, o.MaxMessageBytes}
	want := []any{balancer.LeastRequest, 30 * time.Second, 10 * time.Second, 20 * time.Second, 10 * time.Second, 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
