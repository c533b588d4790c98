// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// cookie is that of the peers, as an entry of the environment.
const cookie = "INTEROP_PLUGIN=the-peers-know-each-other"

// pod is a program that serves on the network and is nobody's child.
type pod struct {
	*kit.Process
	address string
	stdout  *kit.Buffer // what it has printed after its first line
}

// startPlugin starts our own plugin in network mode, with one version of one protocol.
func startPlugin(t *testing.T, protocol string, env ...string) *pod {
	t.Helper()
	config := hostapi.Plugin{Versions: map[int]string{1: protocol}, MaxMessage: 64 << 20}
	return startPod(t, exec.Command(programs(t).plugin(ours)), append([]string{cookie, config.Env(), "PLUGIN_HOST=127.0.0.1"}, env...)...)
}

// startPod starts a program that prints a handshake line, and waits for that.
func startPod(t *testing.T, cmd *exec.Cmd, env ...string) *pod {
	t.Helper()
	return startProgram(t, cmd, func(line string) (string, bool) {
		parts := strings.Split(line, "|")
		if len(parts) <= 4 {
			return "", false
		}
		return parts[3], true
	}, env...)
}

// startProgram starts a program whose first line says where it listens, as address reads
// it.
func startProgram(t *testing.T, cmd *exec.Cmd, address func(line string) (string, bool), env ...string) *pod {
	t.Helper()
	p := &pod{stdout: new(kit.Buffer)}
	cmd.Env = append(programs(t).env(), env...)
	p.Process = kit.StartProcess(t, cmd, p.stdout)
	var found bool
	if p.address, found = address(p.Line); !found {
		t.Fatalf("%s printed %q and not where it listens:\n%s", cmd.Path, p.Line, p.Stderr.String())
	}
	return p
}
