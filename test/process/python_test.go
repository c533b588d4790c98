// SPDX-License-Identifier: MPL-2.0

package process

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/reattach/reattach/test/kit"
)

// pythonProgram writes an executable that runs a script with the Python that has
// what a gRPC plugin needs.
func pythonProgram(t *testing.T, dir, name, script string, args ...string) string {
	t.Helper()
	python := ""
	for _, candidate := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(candidate, "-c", "import grpc.aio, google.protobuf").Run() == nil {
			python = candidate
			break
		}
	}
	if python == "" {
		t.Skip("no python3 with grpcio and protobuf: apt-get install python3-grpcio python3-protobuf")
	}
	path, err := filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, name, fmt.Sprintf("#!/bin/sh\nexec %s '%s' %s\n", python, path, strings.Join(args, " ")), 0o755)
	return filepath.Join(dir, name)
}

const pythonGreeter = "../../examples/python/greeter.py"

// TestPythonPlugin has a plugin in Python in every placement that a process can have.
func TestPythonPlugin(t *testing.T) {
	const greetings = `  greet: Hello Ada, this is Python
  hi: Hi everybody, this is Python (2)
`
	t.Run("network", func(t *testing.T) {
		p := startPlugin(t, pythonProgram(t, t.TempDir(), "greeter", pythonGreeter), "PLUGIN_MIN_PORT=0", "PLUGIN_NAME=ada")
		for range 2 { // It outlives its first host.
			got := basic(t, "GREET_NAME=Ada", "PLUGIN_DIR=", "NETWORK_PLUGIN=py="+p.address())
			if want := "py  network  gRPC v2\n" + greetings + "  pingponger: not served\n"; got.Code != 0 || got.Stdout != want || got.withoutWaits() != "" {
				t.Errorf("%+v, want %s", got, want)
			}
		}
		probed := command(t, []string{"probe", p.address()})
		for _, part := range []string{"ada, instance ", "2 over grpc", "greeter {Greet, Hi}", "SERVING"} {
			if !strings.Contains(probed.Stdout, part) {
				t.Errorf("probe does not say %q: %+v", part, probed)
			}
		}
		checkConforms(t, p, 24)
		if code, _ := p.end(t, syscall.SIGTERM); code != 0 {
			t.Errorf("ended with %d\n%s", code, &p.logs)
		}
	})
	t.Run("network, without the handshake", func(t *testing.T) {
		examples, err := filepath.Abs(filepath.Dir(pythonGreeter))
		if err != nil {
			t.Fatal(err)
		}
		p := startPlugin(t, pythonProgram(t, t.TempDir(), "plain", "testdata/plain_server.py", examples))
		got := basic(t, "GREET_NAME=Ada", "PLUGIN_DIR=", "NETWORK_PLUGIN=py="+p.address())
		if !strings.HasPrefix(got.Stdout, "py  network  gRPC v2\n"+greetings) {
			t.Errorf("%+v", got)
		}
		probed := command(t, []string{"probe", p.address()})
		if probed.Code != 0 || !strings.Contains(probed.Stdout, "the plugin has no health service") || !strings.Contains(probed.Stdout, "the plugin does not tell") {
			t.Errorf("probe: %+v", probed)
		}
		checkConforms(t, p, 8)
	})
	t.Run("child", func(t *testing.T) {
		dir := t.TempDir()
		pythonProgram(t, dir, "py.po", pythonGreeter)
		got := basic(t, "GREET_NAME=Ada", "PLUGIN_DIR="+dir)
		if want := "py  child  gRPC v2\n" + greetings; got.Code != 0 || !strings.HasPrefix(got.Stdout, want) {
			t.Errorf("%+v, want %s", got, want)
		}
	})
}

// TestPythonPluginLeaves has two instances, one of which ends while a daemon calls them.
func TestPythonPluginLeaves(t *testing.T) {
	program := pythonProgram(t, t.TempDir(), "greeter", pythonGreeter)
	one := startPlugin(t, program, "PLUGIN_MIN_PORT=0")
	two := startPlugin(t, program, "PLUGIN_MIN_PORT=0")
	host := serveHost(t, "PLUGIN_DIR=", fmt.Sprintf("NETWORK_PLUGIN=py=%s,py=%s", one.address(), two.address()))
	kit.Until(t, patience, "both are ready", func() bool {
		status, err := http.Get(host.url + "/readyz")
		if err != nil {
			return false
		}
		defer status.Body.Close()
		return status.StatusCode == http.StatusOK
	})
	for i := range 60 {
		if i == 20 {
			if err := one.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
		if answer := command(t, []string{"call", "py", "greeter.Greet", "Ada"}, "BASIC_SERVER="+host.url); answer.Code != 0 {
			t.Fatalf("call %d: %+v", i, answer)
		}
	}
	<-one.rest
	if err := one.cmd.Wait(); err != nil {
		t.Errorf("the instance that left: %v\n%s", err, &one.logs)
	}
	if code, _ := host.end(t, os.Interrupt); code != 0 && code != 130 {
		t.Errorf("the daemon ended with %d", code)
	}
}

// checkConforms runs the cases of basic conform, of which ok concern p.
func checkConforms(t *testing.T, p *networkPlugin, ok int) {
	t.Helper()
	got := command(t, []string{"conform", p.address()})
	if want := fmt.Sprintf("%d ok, 0 failed", ok); got.Code != 0 || !strings.Contains(got.Stderr, want) {
		t.Errorf("conform: want %s: %+v", want, got)
	}
}

// TestConform has the cases run against a plugin of this library, in both protocols.
func TestConform(t *testing.T) {
	socket := "unix://" + filepath.Join(t.TempDir(), "zh.sock")
	startNetworkPlugin(t, "greeter-zh.po", "PLUGIN_HOST="+socket)
	if got := command(t, []string{"conform", socket}); got.Code != 0 || !strings.Contains(got.Stderr, "24 ok, 0 failed") {
		t.Errorf("on a unix socket: %+v", got)
	}
	p := startNetworkPlugin(t, "greeter-zh.po")
	checkConforms(t, p, 24)
	asJSON := command(t, []string{"conform", p.address(), "-o", "json"}, "CONTRACT_VERSIONS=1")
	if asJSON.Code != 0 || !strings.Contains(asJSON.Stdout, `{"code":"G01","outcome":"skip"`) {
		t.Errorf("over net/rpc: %+v", asJSON)
	}
	for _, args := range [][]string{{"conform", "localhost"}, {"conform", p.address(), "-o", "xml"}, {"conform", p.address(), "--cookie", "x"}, {"conform", "unix://here"}} {
		if got := command(t, args); got.Code != 2 {
			t.Errorf("%q: %+v", args, got)
		}
	}
	p.end(t, syscall.SIGTERM)
	if got := command(t, []string{"conform", p.address()}); got.Code != 3 || !strings.Contains(got.Stderr, "refused") {
		t.Errorf("nobody listens: %+v", got)
	}
}
