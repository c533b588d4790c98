// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/target"
)

func samplePlugins() []daemon.Plugin {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	endpoint := func(address string, change func(*daemon.Endpoint)) daemon.Endpoint {
		e := daemon.Endpoint{
			ID: "zh@" + address, Address: address, Placement: target.Network, Source: "static",
			State: conn.Ready, Since: at, Protocol: "grpc", Version: 2, Build: "v1 go1.26",
		}
		change(&e)
		return e
	}
	return []daemon.Plugin{
		{Name: "ghost", Required: true, Kinds: []string{}, Endpoints: []daemon.Endpoint{}, Problems: []string{"/bin/ghost.po: not executable"}},
		{Name: "zh", Ready: true, Kinds: []string{"greeter", "pingponger"}, Problems: []string{}, Endpoints: []daemon.Endpoint{
			endpoint("a:1", func(e *daemon.Endpoint) { e.Restarts = 2; e.Ejected = true }),
			endpoint("b:1", func(e *daemon.Endpoint) {
				e.State, e.Error, e.Protocol, e.Build = conn.TransientFailure, "dial b:1:\n  refused", "", ""
			}),
		}},
	}
}

func TestTables(t *testing.T) {
	want := map[string]string{
		"table": `PLUGIN   READY   KINDS                PLACEMENT   RESTARTS   STATUS
ghost    0/0     -                    -           0          /bin/ghost.po: not executable
zh       1/2     greeter,pingponger   network     2          zh@b:1: dial b:1: refused
`,
		"wide": `PLUGIN   ENDPOINT   PLACEMENT   SOURCE   STATE               PROTOCOL   BUILD       TLS   RESTARTS   IN-FLIGHT   STATUS
ghost    -          -           -        -                   -          -           -     0          0           /bin/ghost.po: not executable
zh       a:1        network     static   READY (held back)   grpc v2    v1 go1.26   -     2          0           ok
zh       b:1        network     static   TRANSIENT_FAILURE   -          -           -     0          0           dial b:1: refused
`,
	}
	for name, text := range want {
		var got strings.Builder
		if err := formats()[name](&got, samplePlugins(), true); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(text, got.String()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestYAML(t *testing.T) {
	var got strings.Builder
	if err := writeYAML(&got, samplePlugins()[:1], false); err != nil {
		t.Fatal(err)
	}
	want := `---
plugins:
  - name: ghost
    ready: false
    required: true
    waiting: 0
    kinds: []
    endpoints: []
    problems:
      - '/bin/ghost.po: not executable'
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestArguments(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     []string
		want   string
	}{
		"none":      {"a method without parameters", nil, `[]`},
		"text":      {"quotes inside of quotes are tiresome", []string{"Ada"}, `["Ada"]`},
		"JSON text": {"it is what it says", []string{`"Ada"`}, `["Ada"]`},
		"a number":  {"numbers are JSON", []string{"2"}, `[2]`},
		"several":   {"one for each parameter", []string{"Ada", "2", "[3]"}, `["Ada",2,[3]]`},
		"an array":  {"all at once", []string{`["Ada", 2]`}, `["Ada", 2]`},
		"an object": {"by name", []string{` {"name": "Ada"}`}, `{"name": "Ada"}`},
		"empty":     {"an empty string is a string", []string{""}, `[""]`},
	}
	for name, tc := range cases {
		if diff := cmp.Diff(tc.want, string(arguments(tc.in))); diff != "" {
			t.Errorf("%s: %s: (-want +got)\n%s", name, tc.reason, diff)
		}
	}
}
