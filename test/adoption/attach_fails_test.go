// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAttachBadInput holds what goes wrong to one clear line and an exit code, in time.
func TestAttachBadInput(t *testing.T) {
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "store.target")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	served := startPlugin(t, "grpc").address
	cases := map[string]struct {
		args     []string
		stranger bool   // the host does not set the cookie
		versions string // of the host, if not 1
		code     int
		says     string
	}{
		"no target":         {code: 2, says: "target is missing: where is the plugin?"},
		"no port":           {args: []string{"nowhere"}, code: 2, says: "it has no port: write nowhere:7000"},
		"two plugins":       {args: []string{"a=h:1,b=h:2"}, code: 2, says: "it names two plugins, a and b: a host starts one"},
		"an abstract name":  {args: []string{"unix://@store"}, code: 2, says: "abstract sockets have no permissions"},
		"a long socket":     {args: []string{"unix:///" + strings.Repeat("x", 120)}, code: 2, says: "the path has 121 bytes, and that of a socket may have 107"},
		"no such file":      {args: []string{"--file", "/nowhere/store.target"}, code: 2, says: "target file /nowhere/store.target: no such file"},
		"an unknown field":  {args: []string{"--file", file("target: h:1\ncolour: blue\n")}, code: 2, says: "there is no field colour"},
		"an affinity":       {args: []string{"--file", file("target: h:1\naffinity: host\n")}, code: 2, says: `affinity "host": want session, or nothing`},
		"another cookie":    {args: []string{served}, stranger: true, code: 2, says: "which sets the cookie INTEROP_PLUGIN when it starts it"},
		"nobody listens":    {args: []string{"127.0.0.1:1"}, code: 3, says: "connection refused"},
		"no socket there":   {args: []string{"unix:///nowhere/store.sock"}, code: 3, says: "no such file or directory"},
		"no common version": {args: []string{served}, versions: "9", code: 3, says: "version"},
		"no version of the file's": {
			args: []string{"--versions", "8", served}, code: 2, says: "the host has the versions [1], and none of [8]",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"attach"}
			if len(tc.args) == 0 || tc.args[0] != "--file" {
				args = append(args, "--cookie", cookie)
			}
			cmd := exec.Command(programs(t).basic(), append(args, tc.args...)...)
			cmd.Env = append(programs(t).env(), "ATTACH_TIMEOUT=2s", "PLUGIN_PROTOCOL_VERSIONS=1")
			if tc.versions != "" {
				cmd.Env = append(cmd.Env, "PLUGIN_PROTOCOL_VERSIONS="+tc.versions)
			}
			if !tc.stranger {
				cmd.Env = append(cmd.Env, cookie, "BASIC_PLUGIN=hello")
			}
			code, line := fails(t, cmd)
			if code != tc.code || !bytes.Contains(line, []byte(tc.says)) {
				t.Errorf("exit code %d, want %d; said %q, want %q", code, tc.code, line, tc.says)
			}
			t.Logf("%d: %s", code, line)
		})
	}
}
