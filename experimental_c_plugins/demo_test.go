// SPDX-License-Identifier: MPL-2.0

// Package experimental tests the C program that opens Go shared objects.
package experimental

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDemo runs what "make c-demo" runs, and then shows the same C program
// what it cannot use.
func TestDemo(t *testing.T) {
	compiler := os.Getenv("CC")
	if compiler == "" {
		compiler = "cc"
	}
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skipf("there is no C compiler: %v", err)
	}
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "../scripts/c-demo.sh", out)
	cmd.Stderr = os.Stderr
	got, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("greeting: Hello Ada\ngoroutines: 100\ngreeted: 101\n", string(got)); diff != "" {
		t.Errorf("the demo's output (-want +got)\n%s", diff)
	}

	plugin := filepath.Join(out, "plugin1.so")
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildmode=plugin", "-o", plugin, "../pluginso/demo/plugin1")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build a Go plugin: %v\n%s", err, text)
	}
	absent := filepath.Join(out, "absent.so")
	cases := map[string]struct{ reason, library, want string }{
		"Go plugin": {"it opens, and has nothing that C could call", plugin, "dlsym Greet: " + plugin + ": undefined symbol: Greet"},
		"no file":   {"the loader's own words", absent, "dlopen: " + absent + ": cannot open shared object file"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			text, err := exec.CommandContext(t.Context(), filepath.Join(out, "host"), tc.library, "Ada").CombinedOutput()
			if err == nil || !strings.Contains(string(text), tc.want) {
				t.Errorf("%s: %v, output %q, want %q", tc.reason, err, text, tc.want)
			}
		})
	}
}
