// SPDX-License-Identifier: MPL-2.0

package attach

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadSettings(t *testing.T) {
	cases := map[string]struct {
		reason string
		text   string
		want   func(*Settings)
		err    string // "" for none
	}{
		"Alone": {"a target needs no more than itself", "store:7000\n", func(s *Settings) { s.Target = "store:7000" }, ""},
		"List":  {"nor do several endpoints", "10.0.0.7:7000, 10.0.0.8:7000", func(s *Settings) { s.Target = "10.0.0.7:7000, 10.0.0.8:7000" }, ""},
		"Fields": {"each field has a name", "target: store:7000\naffinity: session\nreplay: [Configure]\ntimeout: 5m\n", func(s *Settings) {
			s.Target, s.Affinity, s.Replay, s.Timeout = "store:7000", "session", []string{"Configure"}, 5*time.Minute
		}, ""},
		"TLS":          {"files lie beside the target file", "target: a:1\ntls: {ca: ca.pem}\n", func(s *Settings) { s.Target, s.TLS.CA = "a:1", "DIR/ca.pem" }, ""},
		"Empty":        {"nothing says where the plugin is", "\n", nil, "target file FILE: target is missing: where is the plugin?"},
		"UnknownField": {"a field that is misspelt must not be ignored", "target: a:1\nafinity: session\n", nil, "target file FILE: line 2: there is no field afinity"},
		"Affinity":     {"there is one", "target: a:1\naffinity: client\n", nil, `target file FILE: affinity "client": want session, or nothing`},
		"Protocol":     {"there are two", "target: a:1\nprotocol: http\n", nil, `target file FILE: protocol "http": want grpc or netrpc`},
		"Cookie":       {"a cookie has a key", "target: a:1\ncookie: hello\n", nil, `target file FILE: cookie "hello": want KEY=VALUE`},
		"Duration":     {"a duration has a unit", "target: a:1\ntimeout: 5\n", nil, "target file FILE: line 2: timeout: want a time with its unit, such as 30s, not \"5\""},
		"List of one":  {"a list has brackets", "target: a:1\nreplay: Configure\n", nil, "target file FILE: line 2: replay: want a list, such as [Configure], not \"Configure\""},
		"Version":      {"versions are numbers from zero", "target: a:1\nversions: [-1]\n", nil, "target file FILE: versions: -1 is below zero"},
		"Documents":    {"a second document would be ignored", "target: a:1\n---\ntarget: b:1\n", nil, "target file FILE: has more than one document: leave out what follows ---"},
		"Unknown pin":  {"a pin that is misspelt pins nothing", "target: a:1\npin: {names: x}\n", nil, "target file FILE: line 2: there is no field pin.names"},
		"Unknown TLS":  {"nor does TLS have such a file", "target: a:1\ntls: {pem: x}\n", nil, "target file FILE: line 2: there is no field tls.pem"},
		"Twice":        {"which of two counts nobody would know", "target: a:1\ntls:\n  ca: a\n  ca: b\n", nil, "target file FILE: line 4: tls.ca is there already, in line 3"},
		"Element":      {"of a list it is the one", "versions: [5, x]\n", nil, "target file FILE: line 1: versions: want a list of numbers, such as [5, 6], not \"x\""},
		"Two":          {"all that is wrong is said at once", "target: [a]\nversions: 5\ntls: x\n", nil, "target file FILE: line 1: target: want a text, not a list\nline 2: versions: want a list of numbers, such as [5, 6], not \"5\"\nline 3: tls: want fields of its own, not \"x\""},
		"A list":       {"a list has no fields", "- a:1\n- b:1\n", nil, "target file FILE: line 1: want fields, such as target: store:7000, not a list"},
		"No YAML":      {"the parser's words need no name of the parser", "target: [a\n", nil, "target file FILE: line 1: did not find expected ',' or ']'"},
		"Merged":       {"an anchor is YAML as well", "target: a:1\ntls: &t {ca: a.pem}\npin: {}\nreplay:\nprotocol: ~\n", func(s *Settings) { s.Target, s.TLS.CA = "a:1", "DIR/a.pem" }, ""},
		"Pin":          {"half a fingerprint pins nothing", "target: a:1\npin: {certificate: ab12}\n", nil, `target file FILE: pin.certificate "ab12": want a SHA-256 of 64 hexadecimal digits`},
		"Revision":     {"nor do three letters of a commit", "target: a:1\npin: {revision: abc}\n", nil, `target file FILE: pin.revision "abc": want 7 characters of it or more`},
		"Large":        {"whatever is there may be no target file at all", strings.Repeat("#", MaxTargetFile+1), nil, "target file FILE: has more than 65536 bytes"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "store.target")
			if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := ReadSettings(path)
			if text := strings.ReplaceAll(errorText(err), path, "FILE"); text != tc.err {
				t.Fatalf("%s: got the error %q, want %q", tc.reason, text, tc.err)
			}
			if err != nil {
				return
			}
			got.TLS.CA = strings.ReplaceAll(got.TLS.CA, dir, "DIR")
			var want Settings
			tc.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", tc.reason, diff)
			}
		})
	}
	if _, err := ReadSettings(filepath.Join(t.TempDir(), "none.target")); err == nil || !strings.Contains(err.Error(), "none.target: no such file") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
