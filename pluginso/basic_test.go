// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBasic runs the daemon with the greeter as a child and as a shared object
// in one directory, and asks both the same.
func TestBasic(t *testing.T) {
	bin := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "../scripts/build-so.sh", bin).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	goBuild(t, filepath.Join(bin, "basic"), "../host")
	goBuild(t, filepath.Join(bin, "greeter-en.po"), "../plugin")

	questions := map[string]string{"greeter.Greet": `{"name": "Ada"}`, "greeter.Hi": `{"times": 3}`}
	for method, args := range questions {
		want, _, err := call(t, bin, "basic-so", "greeter-en", method, args)
		if err != nil {
			t.Fatalf("%s of the child: %v", method, err)
		}
		got, _, err := call(t, bin, "basic-so", "greeter-so", method, args)
		if err != nil {
			t.Fatalf("%s of the shared object: %v", method, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: the shared object answers otherwise than the child (-child +object)\n%s", method, diff)
		}
	}

	t.Run("one visit", func(t *testing.T) {
		for host, want := range map[string]string{
			"basic-so": "greeter-en  child  gRPC v2\n  greet: Hello Ada\n  hi: Hi there! =2=\n  pingponger: not served\n" +
				"greeter-so  in-process  gRPC v2\n  greet: Hello Ada\n  hi: Hi there! =2=\n  pingponger: not served\n",
			"basic": "greeter-en  child  gRPC v2\n  greet: Hello Ada\n  hi: Hi there! =2=\n  pingponger: not served\n" +
				"greeter-so  in-process\n  error: load DIR/greeter-so.so: in-process shared objects are off: this host was built without cgo " +
				"(CGO_ENABLED=0), or for a system that Go has no plugins for; build it with CGO_ENABLED=1, or run the plugin as a child or on the network\n",
		} {
			cmd := exec.CommandContext(t.Context(), filepath.Join(bin, host))
			cmd.Env = append(os.Environ(), "PLUGIN_DIR="+bin, "NETWORK_PLUGIN=", "GREET_NAME=Ada", "LOG_LEVEL=off")
			got, err := cmd.Output()
			if diff := cmp.Diff(want, strings.ReplaceAll(string(got), bin, "DIR")); diff != "" {
				t.Errorf("%s: (-want +got)\n%s", host, diff)
			}
			exit := new(exec.ExitError)
			if failed := errors.As(err, &exit) && exit.ExitCode() == 3; failed != (host == "basic") || err != nil && !failed {
				t.Errorf("%s: %v, want exit code 3 of the host that cannot load it", host, err)
			}
		}
	})

	t.Run("static host", func(t *testing.T) {
		if got, _, err := call(t, bin, "basic", "greeter-en", "greeter.Greet", `{"name": "Ada"}`); err != nil || got != "Hello Ada" {
			t.Errorf("the child beside a shared object: %q, %v; want a host that goes on", got, err)
		}
		_, said, err := call(t, bin, "basic", "greeter-so", "greeter.Greet", `{"name": "Ada"}`)
		if err == nil || !strings.Contains(said, "in-process shared objects are off") || !strings.Contains(said, "CGO_ENABLED=0") {
			t.Errorf("the shared object: %v, %q; want a host that says why not", err, said)
		}
	})
}

// call asks one question through a host, and returns the answer, and what the
// host wrote to its stderr.
func call(t *testing.T, bin, host, plugin, method, args string) (answer, said string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, host), "call", plugin, method, args)
	cmd.Env = append(os.Environ(), "PLUGIN_DIR="+bin, "NETWORK_PLUGIN=")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", stderr.String(), err
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		t.Fatalf("%v printed %q: %v", cmd.Args, out, err)
	}
	return answer, stderr.String(), nil
}

// goBuild builds a static binary.
func goBuild(t *testing.T, path, pkg string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}
