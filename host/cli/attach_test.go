// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-plugin"
	"github.com/spf13/cobra"

	"github.com/reattach/reattach/host/target"
)

func TestOnePlugin(t *testing.T) {
	cases := map[string]struct {
		reason string
		in     string
		list   string
		said   target.Plugin
		err    string
	}{
		"One":     {"the usual", "store:7000", "store=store:7000", target.Plugin{Name: "store"}, ""},
		"Several": {"replicas need no name each", "10.0.0.7:7000, 10.0.0.8:7000", "10.0.0.7:7000=10.0.0.7:7000,10.0.0.7:7000=10.0.0.8:7000", target.Plugin{Name: "10.0.0.7:7000"}, ""},
		"Named":   {"one name is that of all", "10.0.0.7:7000,store=10.0.0.8:7000", "store=10.0.0.7:7000,store=10.0.0.8:7000", target.Plugin{Name: "store"}, ""},
		"Options": {"what follows an address is no name", "a:1;replay=Init;affinity=session,a:2", "a=a:1;replay=Init;affinity=session,a=a:2", target.Plugin{Name: "a", Affinity: true, Replay: "Init"}, ""},
		"Two":     {"a host starts one", "a=h:1,b=h:2", "", target.Plugin{}, "it names two plugins, a and b: a host starts one"},
		"Nothing": {"commas alone", ",", "", target.Plugin{}, "it names no address"},
		"NoPort":  {"as in NETWORK_PLUGIN", "store", "", target.Plugin{}, `entry 1 "store": it has no port: write store:7000, or whatever the port is`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			list, said, err := onePlugin(tc.in)
			text := ""
			if err != nil {
				text, said = err.Error(), target.Plugin{}
			}
			if diff := cmp.Diff([]any{tc.list, tc.said, tc.err}, []any{list, said, text}); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

func TestLinkArguments(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "store")
	if err := os.WriteFile(link+".target", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := Options{Name: "basic"}
	cases := map[string]struct {
		reason string
		called string
		target string // in the environment
		args   []string
		want   []string
		host   bool // has started it
	}{
		"Itself":      {"the program is no link", filepath.Join(dir, "basic"), "a:1", []string{"plugins"}, []string{"plugins"}, false},
		"Link":        {"a target file lies beside it", link, "", nil, []string{"attach", "--file", link + ".target"}, false},
		"Arguments":   {"they are the plugin's", link, "", []string{"start", "builder"}, []string{"attach", "--file", link + ".target"}, false},
		"Windows":     {"names have endings there", link + ".exe", "", nil, []string{"attach", "--file", link + ".target"}, false},
		"Environment": {"a host may take no file", filepath.Join(dir, "other"), "a:1", nil, []string{"attach"}, false},
		"Renamed":     {"whoever renames the program gets no plugin", filepath.Join(dir, "other"), "", nil, nil, false},
		"Command":     {"nor whoever types a command", filepath.Join(dir, "other"), "a:1", []string{"version"}, []string{"version"}, false},
		"Forgotten": {
			reason: "a host's plugin without a target is no daemon", called: filepath.Join(dir, "other"), host: true,
			want: []string{"attach", "--file", filepath.Join(dir, "other.target")},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("BASIC_TARGET", tc.target)
			t.Setenv("PLUGIN_PROTOCOL_VERSIONS", "")
			if tc.host {
				t.Setenv("PLUGIN_PROTOCOL_VERSIONS", "1,2")
			}
			if diff := cmp.Diff(tc.want, o.linkArguments(tc.called, tc.args)); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}

// TestAttachBadInput has one clear line and an exit code for each mistake.
func TestAttachBadInput(t *testing.T) {
	misspelt := filepath.Join(t.TempDir(), "x.target")
	if err := os.WriteFile(misspelt, []byte("target: a:1\nafinity: session\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		reason string
		env    map[string]string
		args   []string
		code   int
		says   string
	}{
		"NoTarget": {"nothing says where the plugin is", nil, nil, exitUsage, "target is missing"},
		"Unknown":  {"a target of an unknown form", nil, []string{"ftp://store:7000"}, exitUsage, `target "ftp://store:7000": entry 1 "ftp://store:7000": ftp:// is not understood`},
		"NoFile":   {"the file is not there", nil, []string{"--file", misspelt + ".none"}, exitUsage, "target file " + misspelt + ".none: no such file or directory"},
		"Misspelt": {"a field is misspelt", nil, []string{"--file", misspelt}, exitUsage, "line 2: there is no field afinity"},
		"ByHand":   {"nobody has started it as a plugin", map[string]string{"TEST_PLUGIN": ""}, []string{"127.0.0.1:1"}, exitUsage, "attach is for the program that uses the plugin, which sets the cookie TEST_PLUGIN when it starts it"},
		"Versions": {"a host that lists no versions", map[string]string{"PLUGIN_PROTOCOL_VERSIONS": ""}, []string{"127.0.0.1:1"}, exitUsage, "the host does not list its versions (PLUGIN_PROTOCOL_VERSIONS)"},
		"Silent":   {"nothing listens there", nil, []string{"127.0.0.1:1"}, exitUnreachable, "the plugin was not reached: no endpoint of 127.0.0.1:1 is ready"},
		"LogLevel": {"the host's own variables are none of ours", map[string]string{"LOG_LEVEL": "WARNING", "ATTACH_TIMEOUT": "0"}, []string{"127.0.0.1:1"}, exitUsage, "ATTACH_TIMEOUT"},
		"Cookies":  {"a plugin has one", nil, []string{"--cookie", "A=b", "--cookie", "C=d", "127.0.0.1:1"}, exitUsage, `"--cookie" flag: it is given twice, and a plugin has one cookie`},
		"NoCookie": {"a variable that is not set must not mean another cookie", nil, []string{"--cookie", "", "127.0.0.1:1"}, exitUsage, `"--cookie" flag: want KEY=VALUE`},
		"Empty":    {"no versions are no list of them", nil, []string{"--versions", "", "127.0.0.1:1"}, exitUsage, `"--versions" flag: want versions such as 5,6`},
		"Beside":   {"a flag that would be ignored", nil, []string{"--file", misspelt, "--wait", "1s"}, exitUsage, "--file takes the place of --wait: write it into " + misspelt},
		"TLSFile":  {"no such CA", map[string]string{"HOST_TLS_CA_FILE": "/none.pem"}, []string{"127.0.0.1:1"}, exitUsage, "HOST_TLS_CA_FILE"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for key, value := range map[string]string{
				"TEST_PLUGIN": "hello", "PLUGIN_PROTOCOL_VERSIONS": "1,2", "ATTACH_TIMEOUT": "300ms", "LOG_LEVEL": "off", "BASIC_TARGET": "",
			} {
				t.Setenv(key, value)
			}
			for key, value := range tc.env {
				t.Setenv(key, value)
			}
			var stdout, stderr bytes.Buffer
			o := Options{Name: "basic", Handshake: plugin.HandshakeConfig{MagicCookieKey: "TEST_PLUGIN", MagicCookieValue: "hello"}}
			o.silent = make(chan struct{}) // it says only what is wrong
			code := o.run(context.Background(), append([]string{"attach"}, tc.args...), &stdout, &stderr)
			if code != tc.code || !strings.Contains(stderr.String(), tc.says) {
				t.Errorf("%s: exit code %d and %q, want %d and %q", tc.reason, code, stderr.String(), tc.code, tc.says)
			}
			if strings.Count(stderr.String(), "\n") != 1 || stdout.Len() > 0 {
				t.Errorf("%s: want one line on stderr and nothing on stdout, got %q and %q", tc.reason, stderr.String(), stdout.String())
			}
		})
	}
}

// A target file takes the place of attach's own flags, and not of those that a program has for
// all its commands.
func TestTargetFileBesideFlagsOfTheProgram(t *testing.T) {
	file := filepath.Join(t.TempDir(), "none.target")
	o := Options{Name: "basic", Extend: func(root *cobra.Command) { root.PersistentFlags().String("contract", "", "") }}
	var stdout, stderr bytes.Buffer
	o.run(context.Background(), []string{"attach", "--file", file, "--contract", "contract.json"}, &stdout, &stderr)
	if want := "target file " + file + ": no such file or directory"; !strings.Contains(stderr.String(), want) {
		t.Errorf("got %q, want %q", stderr.String(), want)
	}
}

func TestHostVersions(t *testing.T) {
	cases := map[string]struct {
		reason string
		listed string
		told   []int
		want   []int
		err    string
	}{
		"Listed":     {"the host says all", "6,5", nil, []int{5, 6}, ""},
		"Told":       {"old hosts list none", "", []int{4}, []int{4}, ""},
		"Narrowed":   {"a plugin cannot say which of them it has", "5,6", []int{6, 7}, []int{6}, ""},
		"Nothing":    {"nobody says any", "", nil, nil, "the host does not list its versions (PLUGIN_PROTOCOL_VERSIONS): name that of its plugins by --versions, or in the target file"},
		"Apart":      {"the file is of another host", "5", []int{6}, nil, "the host has the versions [5], and none of [6], which --versions or the target file names"},
		"NoNumber":   {"as no host says it", "five", nil, nil, `PLUGIN_PROTOCOL_VERSIONS="five": want a comma list of numbers`},
		"Repetition": {"each counts once", "5,5", nil, []int{5}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("PLUGIN_PROTOCOL_VERSIONS", tc.listed)
			got, err := hostVersions(tc.told)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if diff := cmp.Diff([]any{tc.want, tc.err}, []any{got, text}); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
}
