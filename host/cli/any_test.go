// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/api"
	"github.com/reattach/reattach/host/daemon"
)

// anyPlugin is a program that knows no kinds, and is told the cookie in a late moment.
func anyPlugin() Options {
	return Options{Name: "any", AnyPlugin: true, Settle: func(o *Options) error {
		o.Handshake = commons.Handshake()
		o.Versions = func(set plugin.PluginSet) map[int]plugin.PluginSet {
			all := make(map[int]plugin.PluginSet)
			for v := range 64 {
				all[v] = set
			}
			return all
		}
		return nil
	}}
}

// line runs a command line that must end with a code.
func line(t *testing.T, o Options, code int, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if got := o.run(t.Context(), args, &stdout, &stderr); got != code {
		t.Errorf("%s %q: code %d, want %d: %s%s", o.Name, args, got, code, &stdout, &stderr)
	}
	if code != exitOK {
		return stderr.String()
	}
	return stdout.String()
}

// TestAnyPluginIsCalledByDoctor holds that the call of doctor knows as much as call does.
func TestAnyPluginIsCalledByDoctor(t *testing.T) {
	address := servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()})
	for _, call := range []string{`greeter.Greet "Ada"`, `reattach.commons.v1.Greeter.Greet "A. Da"`} {
		if got := line(t, anyPlugin(), exitOK, "doctor", address, "-v", "--call", call); !strings.Contains(got, "answered {") {
			t.Errorf("%s: %s", call, got)
		}
	}
}

// TestAnyPlugin holds that a plugin can be used by a program that was built for none.
func TestAnyPlugin(t *testing.T) {
	t.Setenv("PLUGIN_DIR", "")
	t.Setenv("NETWORK_PLUGIN", "zh="+servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()}))
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"call", "zh", "greeter.Greet", "Ada"}, exitOK, `{"greeting":"Hello Ada"}` + "\n"},
		{[]string{"call", "zh", "reattach.commons.v1.Greeter.Hi", "2"}, exitOK, `{"greeting":"Hi"}` + "\n"},
		{[]string{"call", "zh", "greeter.Hi", "many"}, exitUsage, `any: arguments do not fit Hi(times int64) HiResponse: argument "times": "many" is not int64` + "\n"},
		{[]string{"call", "zh", "greeter.Bow"}, exitUsage, `any: unknown method "Bow": reattach.commons.v1.Greeter has Greet, Hi` + "\n"},
		{[]string{"call", "en", "greeter.Greet", "Ada"}, exitUsage, `any: plugin "en" is unknown: known are zh` + "\n"},
		{[]string{"describe", "zh"}, exitOK, "reattach.commons.v1.Greeter\n  Greet(name string) GreetResponse\n  Hi(times int64) HiResponse\n"},
		{[]string{"serve"}, exitUsage, "any: unknown command \"serve\"; see any --help\n"},
	} {
		if got := line(t, anyPlugin(), tc.code, tc.args...); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.args, got, tc.want)
		}
	}
	if got := line(t, anyPlugin(), exitOK); !strings.HasPrefix(got, "Use plugins wherever they run.\n\nEnvironment:\n") {
		t.Errorf("without a command: %s", got)
	}
	if got := line(t, anyPlugin(), exitOK, "plugins"); !strings.Contains(got, "zh       1/1") {
		t.Errorf("plugins: %s", got)
	}
}

// TestAnyPluginOverNetRPC holds that what net/rpc does not tell is said.
func TestAnyPluginOverNetRPC(t *testing.T) {
	t.Setenv("PLUGIN_DIR", "")
	set := plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: speaker{}}}
	t.Setenv("NETWORK_PLUGIN", "zh="+servePlugin(t, plugin.ServeConfig{
		HandshakeConfig: commons.Handshake(), VersionedPlugins: map[int]plugin.PluginSet{1: commons.Versions(set)[1]},
	}))
	if got := line(t, anyPlugin(), exitUsage, "call", "zh", "greeter.Greet", "Ada"); !strings.Contains(got, "give the contract.json") {
		t.Error(got)
	}
	if got := line(t, anyPlugin(), exitOK, "describe", "zh"); !strings.Contains(got, "greeter\n  Greet(map[string]interface {}) string\n      not by JSON: net/rpc does not tell") {
		t.Error(got)
	}
}

// TestDescribe holds that a program with kinds describes those that a plugin serves, the same with
// a daemon and without.
func TestDescribe(t *testing.T) {
	address := servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()})
	t.Setenv("PLUGIN_DIR", "")
	t.Setenv("NETWORK_PLUGIN", "zh="+address)
	url := serveAPI(t, address)
	want := "greeter  commons.Greeter\n  Greet(name string) (string, error)\n      within 30s\n  Hi(int) (string, error)\n      within 30s\n"
	for _, args := range [][]string{{"describe", "zh"}, {"describe", "zh", "--server", url}} {
		if diff := cmp.Diff(want, line(t, basic(), exitOK, args...)); diff != "" {
			t.Errorf("%q: (-want +got)\n%s", args, diff)
		}
		unknown := append([]string{"describe", "en"}, args[2:]...)
		if got := line(t, basic(), exitUsage, unknown...); got != "basic: plugin \"en\" is unknown: known are zh\n" {
			t.Errorf("%q: %q", unknown, got)
		}
	}
	var kinds []daemon.KindInfo
	if err := json.Unmarshal([]byte(line(t, basic(), exitOK, "describe", "zh", "-o", "json")), &kinds); err != nil || len(kinds) != 1 {
		t.Errorf("%v, %v", kinds, err)
	}
}

// TestDescribeTheUnreached holds that the host's own kinds are not taken for those of a plugin
// that has told nothing.
func TestDescribeTheUnreached(t *testing.T) {
	url := serveAPI(t, "127.0.0.1:1")
	var stdout, stderr bytes.Buffer
	for stdout.Len() == 0 {
		stderr.Reset()
		if code := basic().run(t.Context(), []string{"describe", "zh", "--server", url}, &stdout, &stderr); code != exitOK && !strings.Contains(stderr.String(), "is unknown") {
			t.Fatalf("code %d, %s", code, &stderr)
		}
	}
	if want := "basic: plugin zh is not ready, and has told no kinds: these are the kinds that the host would ask it for\n"; stderr.String() != want || !strings.HasPrefix(stdout.String(), "greeter  commons.Greeter\n") {
		t.Errorf("%s%s", &stderr, &stdout)
	}
}

// TestEvents holds that what has happened is shown, and then what happens, the same with a
// daemon and without.
func TestEvents(t *testing.T) {
	address := servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()})
	t.Setenv("PLUGIN_DIR", "")
	t.Setenv("NETWORK_PLUGIN", "zh="+address+",gone=127.0.0.1:1")
	if got := line(t, basic(), exitOK, "events", "--plugin", "zh"); !strings.Contains(got, "CONNECTING to READY   -\n") || strings.Contains(got, "gone") {
		t.Errorf("events of zh: %s", got)
	}
	got := line(t, basic(), exitOK, "events", "-o", "json")
	if n := strings.Count(got, "\n"); n != 5 || !strings.Contains(got, `"to":"TRANSIENT_FAILURE","cause":"`) {
		t.Errorf("events as JSON: %s", got)
	}
	// The endpoint that is gone is tried again, which is what happens: a row for each attempt.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var shown, stderr strings.Builder
	code := basic().run(ctx, []string{"events", "--follow", "--plugin", "gone"}, writerFunc(func(p []byte) (int, error) {
		if shown.Write(p); strings.Count(shown.String(), "CONNECTING to TRANSIENT_FAILURE") > 2 {
			cancel()
		}
		return len(p), nil
	}), &stderr)
	if code != exitOK || strings.Contains(shown.String(), "to CONNECTING") || strings.Contains(shown.String(), "zh") {
		t.Errorf("code %d, %s\n%s", code, &stderr, &shown)
	}
}

// TestEventsOfADaemon holds that events come over HTTP as they do without.
func TestEventsOfADaemon(t *testing.T) {
	url := serveAPI(t, "127.0.0.1:1")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var shown, stderr strings.Builder
	code := basic().run(ctx, []string{"events", "-f", "-o", "json", "--server", url}, writerFunc(func(p []byte) (int, error) {
		if shown.Write(p); strings.Contains(shown.String(), `"from":"TRANSIENT_FAILURE","to":"CONNECTING"`) {
			cancel()
		}
		return len(p), nil
	}), &stderr)
	if code != exitOK || !strings.Contains(shown.String(), `"plugin":"zh"`) || !strings.Contains(shown.String(), `"to":"CONNECTING"`) {
		t.Errorf("code %d, %s\n%s", code, &stderr, &shown)
	}
}

// TestEventsBesideThoseThatFollow holds that whoever asks what has happened is answered when
// as many follow as a daemon lets.
func TestEventsBesideThoseThatFollow(t *testing.T) {
	url := serveAPI(t, "127.0.0.1:1", func(o *api.Options) { o.MaxStreams = 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var shown, stderr strings.Builder
	code := basic().run(ctx, []string{"events", "-f", "--server", url}, writerFunc(func(p []byte) (int, error) {
		if shown.Write(p); strings.Contains(shown.String(), "zh@127.0.0.1:1") && ctx.Err() == nil {
			if got := line(t, basic(), exitOK, "events", "--server", url); !strings.Contains(got, "zh@127.0.0.1:1") {
				t.Errorf("asked once: %s", got)
			}
			cancel()
		}
		return len(p), nil
	}), &stderr)
	if code != exitOK {
		t.Errorf("code %d, %s", code, &stderr)
	}
}

func TestVersionFlag(t *testing.T) {
	flag, command := line(t, basic(), exitOK, "--version"), line(t, basic(), exitOK, "version")
	if flag != command || !strings.HasPrefix(flag, "basic ") {
		t.Errorf("--version says %q, version %q", flag, command)
	}
}

func TestSuggestions(t *testing.T) {
	for typed, want := range map[string]string{
		"plugns": `basic: unknown command "plugns": did you mean plugins?; see basic --help` + "\n",
		"cal":    `basic: unknown command "cal": did you mean call?; see basic --help` + "\n",
		"xyzzyx": `basic: unknown command "xyzzyx"; see basic --help` + "\n",
	} {
		if got := line(t, basic(), exitUsage, typed); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// TestCompletion holds that a shell is told what may come next.
func TestCompletion(t *testing.T) {
	address := servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()})
	t.Setenv("PLUGIN_DIR", "")
	t.Setenv("NETWORK_PLUGIN", "zh="+address)
	url := serveAPI(t, address)
	for _, tc := range []struct {
		args []string
		want string
	}{
		{[]string{"call", ""}, "zh\n"},
		{[]string{"describe", "", "--server", url}, ""},
		{[]string{"describe", "--server", url, ""}, "zh\n"},
		{[]string{"call", "zh", ""}, "greeter.Greet\t(name string) (string, error)\ngreeter.Hi\t(int) (string, error)\n"},
		{[]string{"call", "zh", "greeter.Hi", ""}, ""},
		{[]string{"plugins", "-o", ""}, "table\nwide\njson\nyaml\n"},
		{[]string{"events", "--plugin", ""}, "zh\n"},
	} {
		got := line(t, basic(), exitOK, append([]string{"__complete"}, tc.args...)...)
		if got, _, _ = strings.Cut(got, ":"); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.args, got, tc.want)
		}
	}
}
