// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-plugin/printable"
	"go.yaml.in/yaml/v3"

	"github.com/reattach/reattach/host/conn"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/target"
)

// sampled is when zh became ready; its endpoints began their states later.
var sampled = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func samplePlugins() []daemon.Plugin {
	endpoint := func(address string, change func(*daemon.Endpoint)) daemon.Endpoint {
		e := daemon.Endpoint{
			ID: "zh@" + address, Address: address, Placement: target.Network, Source: "static",
			State: conn.Ready, Since: sampled.Add(170 * time.Minute), Protocol: "grpc", Version: 2, Build: "v1 go1.26",
		}
		change(&e)
		return e
	}
	return []daemon.Plugin{
		{Name: "ghost", Required: true, Kinds: []string{}, Endpoints: []daemon.Endpoint{}, Problems: []string{"/bin/ghost.po: not executable"}},
		{Name: "zh", Ready: true, Since: sampled, Kinds: []string{"greeter", "pingponger"}, Problems: []string{}, Endpoints: []daemon.Endpoint{
			endpoint("a:1", func(e *daemon.Endpoint) { e.Restarts = 2; e.Ejected = true }),
			endpoint("b:1", func(e *daemon.Endpoint) {
				e.State, e.LastError, e.Protocol, e.Build = conn.TransientFailure, "dial b:1:\n  refused", "", ""
			}),
		}},
	}
}

// sample has a problem that a plugin shows, and one of no plugin.
func sample() found {
	return found{Plugins: samplePlugins(), Problems: []target.Problem{
		{Plugin: "ghost", Subject: "/bin/ghost.po", Reason: "not executable", Source: "dir"},
		{Subject: "/bin/my plugin.po", Reason: "no name", Source: "dir"},
	}}
}

func TestTables(t *testing.T) {
	want := map[string]string{
		"table": `PLUGIN   READY   SINCE   KINDS                PLACEMENT   RESTARTS   STATUS
ghost    0/0     -       -                    -           0          /bin/ghost.po: not executable
zh       0/2     3h      greeter,pingponger   network     2          zh@b:1: dial b:1: refused
-        -       -       -                    -           -          /bin/my plugin.po: no name
`,
		"wide": `PLUGIN   ENDPOINT            PLACEMENT   SOURCE   STATE               SINCE   PROTOCOL   BUILD       TLS   RESTARTS   IN-FLIGHT   STATUS
ghost    -                   -           -        -                   -       -          -           -     0          0           /bin/ghost.po: not executable
zh       a:1                 network     static   READY (held back)   10m     grpc v2    v1 go1.26   -     2          0           ok
zh       b:1                 network     static   TRANSIENT_FAILURE   10m     -          -           -     0          0           dial b:1: refused
-        /bin/my plugin.po   -           dir      -                   -       -          -           -     -          -           no name
`,
	}
	for name, text := range want {
		var got strings.Builder
		if err := formats()[name](&got, sample(), &page{now: sampled.Add(3 * time.Hour)}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(text, got.String()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

// TestStatus holds what a line says of a plugin: of what has left that it did, and above
// all what is wrong.
func TestStatus(t *testing.T) {
	ready := daemon.Endpoint{ID: "zh@a", State: conn.Ready}
	held := daemon.Endpoint{ID: "zh@h", State: conn.Ready, Ejected: true, LastError: "no answer to a ping"}
	failing := daemon.Endpoint{ID: "zh@f", State: conn.TransientFailure, LastError: "refused"}
	leaving := daemon.Endpoint{ID: "zh@b", State: conn.TransientFailure, Departure: conn.Leaving, LastError: "the plugin is leaving"}
	left := daemon.Endpoint{ID: "zh@c", State: conn.Connecting, Departure: conn.Left, LastError: "refused"}
	tries := daemon.Endpoint{ID: "zh@t", State: conn.Connecting, LastError: "no answer"}
	gone := daemon.Endpoint{ID: "zh@d", State: conn.Shutdown, LastError: "what was wrong long ago"}
	cases := map[string]struct {
		ready     bool
		endpoints []daemon.Endpoint
		want      string
	}{
		"Well":       {true, []daemon.Endpoint{ready, gone}, "ok"},
		"HeldBack":   {true, []daemon.Endpoint{ready, held}, "zh@h is held back from calls: no answer to a ping"},
		"TriesAgain": {true, []daemon.Endpoint{left, ready, tries}, "zh@t: no answer"},
		"Leaving":    {true, []daemon.Endpoint{ready, leaving, left}, "zh@b: the plugin is leaving"},
		"Left":       {true, []daemon.Endpoint{ready, left}, "zh@c: the plugin has left: refused"},
		"AllLeft":    {false, []daemon.Endpoint{left}, "zh@c: the plugin has left: refused"},
		"Worse":      {true, []daemon.Endpoint{failing, left}, "zh@f: refused"},
		"NoneReady":  {false, []daemon.Endpoint{left, failing}, "refused (and 1 other endpoint)"},
		"AllGo":      {false, []daemon.Endpoint{gone}, "no endpoint"},
	}
	for name, tc := range cases {
		if got := statusOf(daemon.Plugin{Name: "zh", Ready: tc.ready, Endpoints: tc.endpoints}); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

// TestTablesAreBounded holds that no row is wider than maxRow, whatever its cells
// hold, and that what tells most is there.
func TestTablesAreBounded(t *testing.T) {
	long := strings.Repeat("\x1b[31m好\u202e", 1000)
	plugins := samplePlugins()
	zh := &plugins[1]
	zh.Kinds = nil
	for i := range 600 {
		zh.Kinds = append(zh.Kinds, fmt.Sprintf("kind-%03d", i))
	}
	e := &zh.Endpoints[1]
	e.LastError, e.Address, e.Source, e.TLS = "dial: "+long, long, long, long
	zh.Endpoints[0].Build, zh.Endpoints[0].Protocol, zh.Endpoints[0].Warning = long, long, long
	for _, name := range []string{"table", "wide"} {
		var got strings.Builder
		if err := formats()[name](&got, found{Plugins: plugins}, new(page)); err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(strings.TrimSuffix(got.String(), "\n"), "\n") {
			if width := printable.Width(line); width > maxRow || printable.Line(line) != line {
				t.Errorf("%s: a row of %d columns: %q", name, width, line)
			}
		}
		if !strings.Contains(got.String(), "dial: ") || !strings.Contains(got.String(), "ghost") {
			t.Errorf("%s:\n%s", name, got.String())
		}
		if name == "table" && !strings.Contains(got.String(), "kind-000,kind-001,kind-002,kind-003,+596 ") {
			t.Errorf("%s:\n%s", name, got.String())
		}
	}
}

func TestYAML(t *testing.T) {
	var got strings.Builder
	if err := writeYAML(&got, found{Plugins: samplePlugins()[:1], Problems: sample().Problems}, &page{begun: true}); err != nil {
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
problems:
  - plugin: ghost
    subject: /bin/ghost.po
    reason: not executable
    source: dir
  - subject: /bin/my plugin.po
    reason: no name
    source: dir
`
	if diff := cmp.Diff(want, got.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestYAMLLosesNothing holds that what a peer said is escaped, and there.
func TestYAMLLosesNothing(t *testing.T) {
	const words = "\x1b[2J\x7f\u009b\u202e\u200b\u2028\U000e0041\ufeff\n\r\t\"quoted\" \\x1b 好 ' # : - "
	plugins := samplePlugins()[:1]
	plugins[0].Problems = []string{words, "true", "12", "null", "plain", ""}
	var got strings.Builder
	if err := writeYAML(&got, found{Plugins: plugins}, new(page)); err != nil {
		t.Fatal(err)
	}
	if said := got.String(); printable.Text(said) != said {
		t.Errorf("not fit to be shown: %q", said)
	}
	var read struct{ Plugins []struct{ Problems []string } }
	if err := yaml.Unmarshal([]byte(got.String()), &read); err != nil {
		t.Fatalf("%v:\n%s", err, got.String())
	}
	if diff := cmp.Diff(plugins[0].Problems, read.Plugins[0].Problems); diff != "" {
		t.Errorf("(-want +got)\n%s\n%s", diff, got.String())
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

// TestWatch holds that rows of a watched table stand below each other whenever they
// come, that each says when it came, and that a plugin whose age alone has changed is
// not shown anew.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, later := found{Plugins: samplePlugins()[1:]}, found{Plugins: samplePlugins()}
		of := func(_ context.Context, show func(found) error) error {
			err := show(first)
			time.Sleep(time.Minute)
			err = errors.Join(err, show(first))
			time.Sleep(time.Minute)
			later.Plugins[1].Ready, later.Plugins[1].Endpoints[1].LastError = false, "gone"
			return errors.Join(err, show(later))
		}
		var got strings.Builder
		if err := watchPlugins(t.Context(), of, writeTable, &got); err != nil {
			t.Fatal(err)
		}
		at := func(after time.Duration) string { return time.Now().Add(after - 2*time.Minute).Format(time.TimeOnly) }
		want := "TIME       PLUGIN   READY   SINCE   KINDS                PLACEMENT   RESTARTS   STATUS\n" +
			at(0) + "   zh       0/2     0s      greeter,pingponger   network     2          zh@b:1: dial b:1: refused\n" +
			at(2*time.Minute) + "   ghost    0/0     -       -                    -           0          /bin/ghost.po: not executable\n" +
			at(2*time.Minute) + "   zh       0/2     0s      greeter,pingponger   network     2          gone (and 1 other endpoint)\n"
		if diff := cmp.Diff(want, got.String()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestAges(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 119 * time.Minute: "119m",
		47 * time.Hour: "47h", 50 * time.Hour: "2d", 1000 * time.Hour: "41d",
	} {
		if got := (&page{now: sampled.Add(d)}).age(sampled); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}
