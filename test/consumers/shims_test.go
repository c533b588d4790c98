// SPDX-License-Identifier: MPL-2.0

package consumers

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestShims has upstream's host start a link to basic, which attaches to upstream's plugin
// that basic exposes: neither of them is built for the network, and the host gets what it
// gets of a child.
func TestShims(t *testing.T) {
	for _, c := range consumers() {
		t.Run(c.name, func(t *testing.T) {
			want := c.truth(t)
			e := startExposed(t, program(t, upstream, c.pluginName()), c.env, c.exposed...)
			atOnce := atOnce
			if !*all {
				atOnce = fewAtOnce
			}
			link := linkIn(t, t.TempDir(), c.pluginName(), "target: "+e.address, "cookie: "+c.env[0])
			c.crowd(t, "attach-expose", want, atOnce, e.mustRun, program(t, upstream, c.hostName()), c.name, "child", link)
			e.mustRun()
		})
	}
}

// exposed is a plugin's executable behind basic expose.
type exposed struct {
	*network
	line    string // that it has printed: how a host reattaches
	mustRun func()
}

// startExposed exposes an executable, and starts it.
func startExposed(t *testing.T, path string, env []string, flags ...string) exposed {
	t.Helper()
	args := []string{"expose", "--listen", "127.0.0.1:0", "--cookie", env[0], "--print-reattach=plugin"}
	cmd := exec.Command(basic(t), slices.Concat(args, flags, []string{"--", path})...)
	var printed string
	p := startNetworkProgram(t, cmd, env, func(line string) (address, protocol string, err error) {
		var said map[string]struct {
			Protocol string
			Addr     struct{ Network, String string }
		}
		printed, err = line, json.Unmarshal([]byte(line), &said)
		for _, one := range said {
			address, protocol = one.Addr.String, one.Protocol
		}
		return address, protocol, err
	})
	return exposed{p, printed, func() { p.mustLive(t) }}
}

// linkIn gives the path of a link to basic, which has a target file beside it.
func linkIn(t *testing.T, dir, name string, lines ...string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.Symlink(basic(t), path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".target", fmt.Append(nil, strings.Join(lines, "\n"), "\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
