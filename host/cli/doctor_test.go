// SPDX-License-Identifier: MPL-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/doctor"
	"github.com/reattach/reattach/host/target"
)

// examined is a finder of a cluster in the hands of a test.
type examined struct {
	ways   []doctor.Way
	log    string // of the doctor's pod
	failed error

	asked     doctor.Question
	args      []string
	manifests map[string][]byte
}

func (*examined) Wanted() bool                                        { return false }
func (*examined) Source(hclog.Logger) (discovery.Source, error)       { return nil, errors.New("unused") }
func (*examined) Follow(*daemon.Daemon, prometheus.Registerer) func() { return func() {} }

func (e *examined) Ways(_ context.Context, q doctor.Question) ([]doctor.Way, error) {
	e.asked = q
	return e.ways, nil
}

func (e *examined) Planned(q doctor.Question, manifests map[string][]byte) ([]doctor.Way, error) {
	e.asked, e.manifests = q, manifests
	return e.ways, nil
}

func (e *examined) Inside(_ context.Context, q doctor.Question, args []string) ([]byte, error) {
	e.asked, e.args = q, args
	return []byte(e.log), e.failed
}

// diagnosed runs doctor.
func diagnosed(t *testing.T, e *examined, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	h := basic()
	if e != nil {
		h.Finders = []Finder{e}
	}
	t.Setenv("ATTACH_TIMEOUT", "2s")
	t.Setenv("LOG_LEVEL", "off")
	var out, log bytes.Buffer
	code = h.run(t.Context(), append([]string{"doctor"}, args...), &out, &log)
	return out.String(), log.String(), code
}

// way is one to service/zh with one hop, and an endpoint at an address.
func way(err error, address, away string) doctor.Way {
	return doctor.Way{
		Target: "service/zh -n plugins", Plugin: "zh", Away: away,
		Hops:      []doctor.Hop{{Name: doctor.HopPods, Check: func(context.Context) (string, error) { return "fine", err }}},
		Endpoints: func() []target.Endpoint { return []target.Endpoint{{Plugin: "zh", Address: address}} },
	}
}

// TestDoctor holds what is said of ways, and the exit code.
func TestDoctor(t *testing.T) {
	good := servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()})
	const inPod = `{"ok": false, "ways": [{"target": "service/zh -n plugins", "plugin": "zh", "ok": false, "steps": [
		{"hop": "pods", "outcome": "unseen", "seen": "no", "took": 1},
		{"hop": "connect", "outcome": "failed", "seen": "refused", "took": 1, "finding": {"code": "RA0305", "hop": "connect", "seen": "refused", "do": "listen", "page": "p"}}]}]}`
	cases := map[string]struct {
		reason       string
		finder       *examined
		args         []string
		code         int
		want, stderr string // in the output; empty: there is none
	}{
		"healthy address":   {"it says nothing", nil, []string{good}, 0, "", ""},
		"verbose":           {"each hop is told", nil, []string{good, "-v"}, 0, "ok    ping     answered", ""},
		"nothing there":     {"the code, and what to do", nil, []string{"127.0.0.1:1"}, 3, "RA0305 connect: dial", ""},
		"a call":            {"its answer is of no interest", nil, []string{good, "--call", `greeter.Greet "Ada"`}, 0, "", ""},
		"a shown call":      {"but to those who ask", nil, []string{good, "-v", "--call", `greeter.Greet "Ada"`}, 0, `greeter.Greet answered "Hello Ada"`, ""},
		"unknown method":    {"is no matter of the plugin", nil, []string{good, "--call", "greeter.Bye"}, 2, "", "Bye"},
		"healthy Service":   {"and its endpoints", &examined{ways: []doctor.Way{way(nil, good, "")}}, []string{"service/zh"}, 0, "", ""},
		"sick Service":      {"the endpoints are not asked", &examined{ways: []doctor.Way{way(doctor.Find(doctor.NotReady, "none"), "127.0.0.1:1", "")}}, []string{"service/zh"}, 3, "RA0206 pods: none", ""},
		"sick endpoint":     {"it is named", &examined{ways: []doctor.Way{way(nil, "127.0.0.1:1", "")}}, []string{"svc/zh"}, 3, "service/zh -n plugins, 127.0.0.1:1\nRA0305", ""},
		"warned":            {"calls work", &examined{ways: []doctor.Way{way(doctor.Warn(doctor.NotReady, "one"), good, "")}}, []string{"service/zh"}, 0, "warning: RA0206 pods: one", ""},
		"from outside":      {"what cannot be seen is said", &examined{ways: []doctor.Way{way(nil, "10.0.0.1:1", "far away")}}, []string{"service/zh"}, 0, "", "--in-cluster"},
		"from a pod":        {"it sees what is wrong", &examined{ways: []doctor.Way{way(nil, "10.0.0.1:1", "far away")}, log: "warning\n" + inPod}, []string{"service/zh", "--in-cluster"}, 3, "RA0305 connect: refused", ""},
		"no pod":            {"the host has none either", &examined{ways: []doctor.Way{way(nil, "10.0.0.1:1", "far")}, failed: doctor.Find(doctor.NoImage, "nope")}, []string{"service/zh", "--in-cluster"}, 3, "RA0203 pods: nope", ""},
		"a mute pod":        {"what it said is shown", &examined{log: "panic"}, []string{"x:1", "--in-cluster"}, 3, "", "did not report: panic"},
		"wrong arguments":   {"as without a pod", &examined{failed: fmt.Errorf("%w: basic: there is no greeter.Bye", doctor.ErrArguments)}, []string{"x:1", "--in-cluster", "--call", "greeter.Bye"}, 2, "", "greeter.Bye"},
		"an odd pod":        {"as of another program", &examined{log: `{"ways": [null]}`}, []string{"x:1", "--in-cluster"}, 3, "", "did not report"},
		"no cluster":        {"the program has no finder", nil, []string{"service/zh"}, 2, "", "host/cli/kube"},
		"unknown plugin":    {"no variable names it", nil, []string{"zh"}, 2, "", "NETWORK_PLUGIN"},
		"misspelt plugin":   {"those that there are are named", nil, []string{"hz"}, 2, "", `no network plugin "hz" is named by NETWORK_PLUGIN or NETWORK_PLUGIN_DIR, which name none`},
		"all and one":       {"which is it", nil, []string{"--all", "zh"}, 2, "", "--all"},
		"other output":      {"there are two", nil, []string{"zh", "-o", "yaml"}, 2, "", "text or json"},
		"no method":         {"it has a kind", nil, []string{"zh", "--call", "Greet"}, 2, "", "KIND.METHOD"},
		"no method yet":     {"nor one behind the dot", nil, []string{"zh", "--call", `Greet "a.b"`}, 2, "", "KIND.METHOD"},
		"no manifests":      {"the directory is not there", &examined{}, []string{"--pre", "/nowhere"}, 2, "", "/nowhere"},
		"manifests of none": {"no Service is a plugin", &examined{}, []string{"--pre", "testdata"}, 2, "", "no Service"},
	}
	manifests := t.TempDir()
	if err := os.WriteFile(filepath.Join(manifests, "a.yaml"), []byte("kind: Service"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("NETWORK_PLUGIN", "")
			args := slices.Clone(tc.args)
			if i := slices.Index(args, "testdata"); i >= 0 {
				args[i] = manifests
			}
			stdout, stderr, code := diagnosed(t, tc.finder, args...)
			if code != tc.code || !strings.Contains(stdout, tc.want) || !strings.Contains(stderr, tc.stderr) ||
				tc.want == "" && stdout != "" || tc.stderr == "" && stderr != "" {
				t.Errorf("%s: code %d, want %d\n%s\n%s", tc.reason, code, tc.code, stdout, stderr)
			}
		})
	}
}

// TestDoctorOfTheEnvironment looks at the plugins that variables name.
func TestDoctorOfTheEnvironment(t *testing.T) {
	good := servePlugin(t, plugin.ServeConfig{HandshakeConfig: commons.Handshake()})
	t.Setenv("NETWORK_PLUGIN", "zh="+good+",zh=127.0.0.1:1,en="+good)
	if stdout, stderr, code := diagnosed(t, nil, "en"); stdout+stderr != "" || code != 0 {
		t.Errorf("en: code %d, %s%s", code, stdout, stderr)
	}
	stdout, _, code := diagnosed(t, nil, "-o", "json")
	var told doctorReports
	if err := json.Unmarshal([]byte(stdout), &told); err != nil || code != 3 || told.OK || len(told.Ways) != 2 {
		t.Fatalf("code %d, %v: %s", code, err, stdout)
	}
	zh, en := told.Ways[0], told.Ways[1]
	if zh.Plugin != "zh" || zh.OK || zh.Finding.Code != doctor.ConnectionRefused || zh.Finding.Subject != "127.0.0.1:1" || len(zh.Steps) != len(doctor.AddressHops())+1 || !en.OK || len(en.Steps) != len(doctor.AddressHops()) {
		t.Errorf("zh %+v, en %+v", zh, en)
	}
}

// TestDoctorOfADirectory holds that the files of PLUGIN_DIR are looked at with all other
// plugins, in the words that the command plugins has for them.
func TestDoctorOfADirectory(t *testing.T) {
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"bad.po": 0o700, "no.po": 0o600} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho hm\n"), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PLUGIN_DIR", dir)
	t.Setenv("NETWORK_PLUGIN", "")
	stdout, stderr, code := diagnosed(t, nil, "--all")
	if code != exitUnreachable || stderr != "" {
		t.Errorf("code %d, %s", code, stderr)
	}
	for _, want := range []string{
		"no, " + filepath.Join(dir, "no.po") + "\nRA0110 file: it is not executable: chmod +x it\n",
		"bad, " + filepath.Join(dir, "bad.po") + "\nRA0510 start: start " + filepath.Join(dir, "bad.po") + ": ",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("want %q in\n%s", want, stdout)
		}
	}
	t.Setenv("NETWORK_PLUGIN", "gone=127.0.0.1:1")
	if stdout, _, _ := diagnosed(t, nil); !strings.Contains(stdout, "RA0110") || !strings.Contains(stdout, "RA0305") {
		t.Errorf("beside a network plugin:\n%s", stdout)
	}
	missing := filepath.Join(dir, "missing")
	t.Setenv("PLUGIN_DIR", missing)
	if stdout, _, code := diagnosed(t, nil); code != exitUnreachable || !strings.Contains(stdout, missing+"\nRA0110") || !strings.Contains(stdout, "RA0305") {
		t.Errorf("a directory that is missing, beside a network plugin: code %d\n%s", code, stdout)
	}
	t.Setenv("PLUGIN_DIR", dir)
	if _, stderr, code := diagnosed(t, nil, "bad"); code != exitUsage || !strings.Contains(stderr, "--all looks at PLUGIN_DIR") {
		t.Errorf("by its name: code %d, %s", code, stderr)
	}
}

// TestDoctorAsksInside holds what the doctor's pod is told to do.
func TestDoctorAsksInside(t *testing.T) {
	e := &examined{log: `{"ok": true, "ways": [{"target": "x:1", "ok": true, "steps": []}]}`}
	stdout, stderr, code := diagnosed(t, e, "x:1", "--in-cluster", "-n", "plugins", "--host", "apps/basic", "--call", `greeter.Greet "Ada"`)
	if stdout+stderr != "" || code != 0 {
		t.Errorf("code %d, %s%s", code, stdout, stderr)
	}
	slices.Sort(e.args[3:5])
	if got := strings.Join(e.args, "|"); got != `doctor|-o|json|--call=greeter.Greet "Ada"|--namespace=plugins|--|x:1` {
		t.Errorf("arguments %s", got)
	}
	if e.asked.Host != "apps/basic" || e.asked.Program != "basic" {
		t.Errorf("question %+v", e.asked)
	}
}

// TestCalledByKubectl holds under which name the program shows itself.
func TestCalledByKubectl(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/bin/basic": "", "/opt/kubectl-reattach": "kubectl reattach", `kubectl-re_attach.exe`: "kubectl re-attach",
	} {
		if got := calledBy(path); got != want {
			t.Errorf("%s is called %q, want %q", path, got, want)
		}
	}
	h := basic()
	h.called = "kubectl reattach"
	var stdout, stderr bytes.Buffer
	h.run(t.Context(), []string{"doctor", "--help"}, &stdout, &stderr)
	if !strings.Contains(stdout.String(), "kubectl reattach doctor [PLUGIN | service/NAME | ADDR]") || strings.Contains(stdout.String(), "basic doctor") {
		t.Errorf("help: %s", &stdout)
	}
}
