// SPDX-License-Identifier: MPL-2.0

package skew

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// basic runs the host of a side to its end, and gives what it printed.
func basic(t *testing.T, s side, env []string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, string(s), "basic"), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + bin}, env...)
	out, err := cmd.Output()
	if err != nil {
		t.Errorf("%s basic %s: %v\n%s", s, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestPrograms has the shipped host of each side greet the shipped plugin of the other, in
// both versions of the contract, and say what the plugin was built from.
func TestPrograms(t *testing.T) {
	rows := []string{"| basic | greeter-zh | placement | versions | greets | speaks | build of the plugin |"}
	for _, pair := range pairs {
		at := newPlace()
		plugin := launch(t, pair.plugin, "greeter-zh.po", "BASIC_PLUGIN=hello", "PLUGIN_HOST="+at.ip,
			"PLUGIN_MIN_PORT="+placePort, "PLUGIN_MAX_PORT="+placePort, "PLUGIN_NAME=greeter-zh")
		plugin.line()
		dir := t.TempDir()
		if err := os.Symlink(filepath.Join(bin, string(pair.plugin), "greeter-zh.po"), filepath.Join(dir, "greeter-zh.po")); err != nil {
			t.Fatal(err)
		}
		for _, where := range [][2]string{{"network", "NETWORK_PLUGIN=greeter-zh=" + at.String()}, {"child", "PLUGIN_DIR=" + dir}} {
			for _, agreed := range [][2]string{{"1", "netrpc v1"}, {"2", "grpc v2"}, {"1,2", "grpc v2"}} {
				placement, versions, speaks := where[0], agreed[0], agreed[1]
				env := []string{where[1], "CONTRACT_VERSIONS=" + versions}
				greeting := basic(t, pair.host, env)
				if !strings.Contains(greeting, "您好") {
					t.Errorf("%s host, %s plugin, %s, versions %s: greeted %q", pair.host, pair.plugin, placement, versions, greeting)
				}
				e := endpoint(t, basic(t, pair.host, env, "plugins", "-o", "json"))
				if got := fmt.Sprintf("%s v%d", e.Protocol, e.Version); got != speaks || e.Build == "" {
					t.Errorf("%s host, %s plugin, %s: speaks %q, build %q, want %s", pair.host, pair.plugin, placement, got, e.Build, speaks)
				}
				rows = append(rows, fmt.Sprintf("| %s | %s | %s | %s | yes | %s | %s |", pair.host, pair.plugin, placement, versions, speaks, e.Build))
			}
		}
	}
	t.Log("\n" + strings.Join(rows, "\n"))
}

// oneEndpoint is what a host says of the only one that it has.
type oneEndpoint struct {
	Protocol, Build string
	Version         int
}

func endpoint(t *testing.T, said string) oneEndpoint {
	t.Helper()
	var found struct {
		Plugins []struct{ Endpoints []oneEndpoint }
	}
	if err := json.Unmarshal([]byte(said), &found); err != nil || len(found.Plugins) != 1 || len(found.Plugins[0].Endpoints) != 1 {
		t.Errorf("the host said %s (%v), want one endpoint", said, err)
		return oneEndpoint{}
	}
	return found.Plugins[0].Endpoints[0]
}
