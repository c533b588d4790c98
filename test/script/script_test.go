// SPDX-License-Identifier: MPL-2.0

package script

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestScripts(t *testing.T) {
	bin := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "../../scripts/build.sh", bin).CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	web := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Vars = append(e.Vars,
				"BIN="+bin, "WEB="+web.Listener.Addr().String(), "CLOSED="+closed,
				"PLUGIN_DIR="+filepath.Join(e.WorkDir, "plugins"),
				"ATTACH_TIMEOUT=1s", "CALL_TIMEOUT=20s", "BASIC_LISTEN=")
			return os.MkdirAll(filepath.Join(e.WorkDir, "plugins"), 0o755)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"diagnose": diagnose},
	})
}

// closed is an address where nobody listens, nor is given by chance: below 1024.
const closed = "127.0.0.1:1"

// diagnose CODE PLUGIN TEXT [CALLCODE] runs basic without a command, basic plugins and
// basic call of PLUGIN. Each must say TEXT and exit with CODE; call with CALLCODE, where
// that is given.
func diagnose(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: diagnose CODE PLUGIN TEXT [CALLCODE]")
	}
	code, plugin, text := args[0], args[1], args[2]
	for _, command := range [][]string{{}, {"plugins"}, {"call", plugin, "greeter.Greet", "Ada"}} {
		want := code
		if len(command) > 2 && len(args) == 4 {
			want = args[3]
		}
		cmd := exec.Command(filepath.Join(ts.Getenv("BIN"), "basic"), command...)
		for _, name := range []string{
			"PATH", "HOME", "TMPDIR", "PLUGIN_DIR", "NETWORK_PLUGIN", "ATTACH_TIMEOUT", "CALL_TIMEOUT", "BASIC_LISTEN", "CONTRACT_VERSIONS", "HOST_TLS_CA_FILE",
		} {
			if value, set := lookup(ts, name); set {
				cmd.Env = append(cmd.Env, name+"="+value)
			}
		}
		said, err := cmd.CombinedOutput()
		got := fmt.Sprint(cmd.ProcessState.ExitCode())
		ts.Logf("$ basic %s\n%s[exit %s]", strings.Join(command, " "), said, got)
		if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
			ts.Fatalf("run basic: %v", err)
		}
		// A table has spaces where a line has one.
		if flat := strings.Join(strings.Fields(string(said)), " "); !strings.Contains(flat, text) {
			ts.Fatalf("basic %s does not say %q", strings.Join(command, " "), text)
		}
		if got != want {
			ts.Fatalf("basic %s exits with %s, not %s", strings.Join(command, " "), got, want)
		}
	}
}

// lookup tells an empty variable of a script from one that it has not: PLUGIN_DIR=unset
// stands for none.
func lookup(ts *testscript.TestScript, name string) (string, bool) {
	value := ts.Getenv(name)
	return value, value != "unset" && (value != "" || name == "PLUGIN_DIR" || name == "BASIC_LISTEN")
}
