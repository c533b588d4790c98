// SPDX-License-Identifier: MPL-2.0

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/gen/evolve"
	"github.com/reattach/reattach/host/cli"
	"github.com/reattach/reattach/host/daemon"
)

// envRun makes the test binary the program.
const envRun = "TEST_REATTACH"

func TestMain(m *testing.M) {
	if os.Getenv(envRun) != "" {
		os.Exit(cli.Main(program()))
	}
	os.Exit(m.Run())
}

// outcome is what came of a run of the program.
type outcome struct {
	code           int
	stdout, stderr string
}

// reattach runs the program.
func reattach(t *testing.T, dir string, env []string, args ...string) outcome {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	cmd.Env = append(append(os.Environ(), envRun+"=1"), env...)
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

const calculator = "../../examples/calculator"

// plugins builds the calculator into a directory of its own.
func plugins(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "calc.po"), "./plugin")
	build.Dir = calculator
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return dir
}

// TestCalculator calls a plugin that was built for another host: by its contract in either
// protocol, and by what it tells.
func TestCalculator(t *testing.T) {
	contract, err := filepath.Abs(calculator + "/contract.json")
	if err != nil {
		t.Fatal(err)
	}
	env := []string{"PLUGIN_DIR=" + plugins(t), "CALCULATOR_PLUGIN="}
	byContract, byCookie := []string{"--contract", contract}, []string{"--cookie", "CALCULATOR_PLUGIN=calculator"}
	for _, tc := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{append(byContract, "call", "calc", "calculator.Add", "2", "0"), 0, "2\n", ""},
		{append(byContract, "call", "calc", "calculator.Add", `{"b": 3, "a": 2}`), 0, "5\n", ""},
		{append(byContract, "call", "calc", "calculator.Add", `{"a": 2}`), 2, "", `reattach: arguments do not fit Add(a int, b int) (int, error): argument "b" is missing` + "\n"},
		{append(byContract, "call", "calc", "calculator.Divide", "1", "0"), 1, "", "reattach: division by zero\n"},
		{append(byContract, "--versions", "1", "call", "calc", "calculator.Add", "2", "0"), 0, "2\n", ""},
		{append(byContract, "--versions", "1", "call", "calc", "calculator.Sum", "[[1,13]]"), 1, "", "reattach: 13 is unlucky\n"},
		{append(byContract, "describe", "calc"), 0, "calculator\n  Add(a int, b int) (int, error)\n      idempotent, repeats: 1; within 2s\n  Divide(a float64, b float64) (float64, error)\n      idempotent, repeats: 1; within 30s\n  Sum(numbers []int) (int, error)\n      idempotent, repeats: 2; within 30s\n", ""},
		{append(byCookie, "call", "calc", "calculator.Add", "2", "3"), 0, `{"result":5}` + "\n", ""},
		{append(byCookie, "call", "calc", "calculator.v1.Calculator.Sum", "[[1,2]]"), 0, `{"result":3}` + "\n", ""},
		{append(byCookie, "--versions", "1", "call", "calc", "calculator.Add", "2", "3"), 2, "", "reattach: calculator.Add cannot be called with JSON: the plugin speaks net/rpc, which does not tell the types of arguments: give the contract.json of a generated contract, or use a host that has the Go interface\n"},
		{[]string{"--cookie", "none", "plugins"}, 2, "", "reattach: --cookie \"none\": want KEY=VALUE\n"},
		{[]string{"--contract", "/none.json", "plugins"}, 2, "", "reattach: --contract /none.json: there is no such file\n"},
		{[]string{"gen", "--what"}, 2, "", ""},
		{[]string{"decribe"}, 2, "", "reattach: unknown command \"decribe\": did you mean describe?; see reattach --help\n"},
	} {
		got := reattach(t, "", env, tc.args...)
		if got.code != tc.code || got.stdout != tc.stdout || tc.stderr != "" && got.stderr != tc.stderr {
			t.Errorf("%q: %+v, want %+v", tc.args, got, tc)
		}
	}
	if got := reattach(t, "", append(env, "REATTACH_CONTRACT="+contract), "call", "calc", "calculator.Add", "1", "1"); got.stdout != "2\n" {
		t.Errorf("by variable: %+v", got)
	}
	// As a plugin it takes the cookie of its host from there as well.
	asPlugin := append(env, "REATTACH_COOKIE=STORE_PLUGIN=hello", "STORE_PLUGIN=hello", "PLUGIN_PROTOCOL_VERSIONS=1", "ATTACH_TIMEOUT=200ms")
	if got := reattach(t, "", asPlugin, "attach", "127.0.0.1:1"); got.code != 3 {
		t.Errorf("attach: %+v", got)
	}
	// Without a cookie the way out is named.
	if got := reattach(t, "", env, "call", "calc", "calculator.Add", "1", "1"); got.code != 3 || !strings.Contains(got.stderr, "--cookie KEY=VALUE") {
		t.Errorf("without a cookie: %+v", got)
	}
}

func TestManualPages(t *testing.T) {
	dir := t.TempDir()
	if got := reattach(t, "", nil, "man", dir); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	page, err := os.ReadFile(filepath.Join(dir, "reattach-call.1"))
	if err != nil || !strings.Contains(string(page), `\fBreattach call PLUGIN KIND.METHOD [JSON]... [flags]\fP`) {
		t.Errorf("%v\n%s", err, page)
	}
	if got := reattach(t, "", nil, "man"); got.code != 2 {
		t.Errorf("without a directory: %+v", got)
	}
}

// TestContractOfEveryShape holds that whatever a contract can have is a kind, and that what
// JSON cannot carry is said.
func TestContractOfEveryShape(t *testing.T) {
	value := func(wire string) evolve.Value { return evolve.Value{Name: "v", Type: "T", Wire: wire, Number: 3} }
	var methods []evolve.Method
	want := map[string]string{}
	for name, tc := range map[string]struct{ wire, why string }{
		"Scalar": {"sint32", ""}, "Bytes": {"bytes[16]", ""}, "Optional": {"optional string", ""}, "List": {"repeated int64", ""},
		"Array": {"repeated double[3]", ""}, "Map": {"map<string, Point>", ""}, "Struct": {"Point", ""}, "Time": {"google.protobuf.Timestamp", ""},
		"Stream":   {"stream int64", "v: it is a stream"},
		"Callback": {"callback Progress", "v: the plugin calls it back"},
		"Unknown":  {"repeated StringItems", "v: its message StringItems is not in the contract"},
		"Within":   {"Bad", "v: its message Bad is not in the contract"},
		"Deep":     {"Outer", "v: its message Outer is not in the contract"},
	} {
		methods = append(methods, evolve.Method{Name: name, Params: []evolve.Value{value(tc.wire), {Name: "old", Wire: "gone", Number: 1, Removed: true}}})
		want[name] = tc.why
	}
	kinds, err := kindsOf(&evolve.Record{
		Contract: "x.v1", Version: 1, Handshake: "X=y",
		Services: []evolve.Service{{Name: "X", Kind: "x", Methods: methods}, {Name: "Progress"}},
		Types: []evolve.Type{
			{Name: "Outer", Fields: []evolve.Value{{Name: "F", Wire: "repeated Bad", Number: 1}}},
			{Name: "Point", Fields: []evolve.Value{{Name: "X", Wire: "int64", Number: 1}, {Name: "Next", Wire: "optional Point", Number: 2}}},
			{Name: "Bad", Fields: []evolve.Value{{Name: "F", Wire: "stream int64", Number: 1}}},
		},
	})
	if err != nil || len(kinds) != 1 || kinds[0].Name() != "x" {
		t.Fatalf("%v, %v", kinds, err)
	}
	for _, m := range describe(t, kinds) {
		if why, ok := want[m.Name]; !ok || why != m.NotCallable || m.Signature != m.Name+"(v T) error" {
			t.Errorf("%+v, want %q", m, why)
		}
	}
}

// describe gives the methods of the first of some kinds as a daemon shows them.
func describe(t *testing.T, kinds []daemon.Kind) []daemon.Method {
	t.Helper()
	o := daemon.DefaultOptions()
	o.Handshake = plugin.HandshakeConfig{MagicCookieKey: "X", MagicCookieValue: "y"}
	o.Kinds, o.NetworkPlugins = kinds, "x=127.0.0.1:1"
	d, err := daemon.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d.Kinds()[0].Methods
}
