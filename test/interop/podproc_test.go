// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// podSpec says how to start a plugin that is nobody's child.
type podSpec struct {
	hostapi.Plugin

	// Env is added to the environment. Without PLUGIN_HOST in it the plugin
	// listens where a child listens.
	Env []string

	// Stdout gets what follows the handshake line on the container's own
	// stdout. nil: it is thrown away.
	Stdout io.Writer
}

// onNetwork is the spec of a plugin in network mode, which only the fork has.
func onNetwork(plugin hostapi.Plugin, env ...string) podSpec {
	return podSpec{Plugin: plugin, Env: append([]string{"PLUGIN_HOST=127.0.0.1"}, env...)}
}

// single is the configuration of a plugin with one version of one protocol.
func single(protocol string) hostapi.Plugin {
	return hostapi.Plugin{Versions: map[int]string{1: protocol}}
}

// pod is a plugin that was started by the test, as a pod's container is, and
// so has no host that it belongs to.
type pod struct {
	*kit.Process
	side side

	version, protocol, network, address string
}

// startPod starts a plugin and waits until it says where it listens.
func startPod(t *testing.T, s side, spec podSpec) *pod {
	t.Helper()
	cmd := exec.Command(peers(t).plugin(s))
	cmd.Env = append(peers(t).env(), "INTEROP_PLUGIN=the-peers-know-each-other", spec.Plugin.Env())
	cmd.Env = append(cmd.Env, spec.Env...)
	p := &pod{Process: kit.StartProcess(t, cmd, spec.Stdout), side: s}
	p.readLine(p.Line)
	return p
}

func (p *pod) readLine(line string) {
	p.T.Helper()
	parts := strings.Split(line, "|")
	if len(parts) < 5 {
		p.T.Fatalf("the plugin of %s printed %q, want a handshake line", p.side, line)
	}
	p.version, p.network, p.address, p.protocol = parts[1], parts[2], parts[3], parts[4]
}

// client is the configuration that reattaches to the pod, as one does over a
// network: without a process id.
func (p *pod) client(name string) hostapi.Client {
	return hostapi.Client{
		Name:     name,
		Versions: map[int]string{1: p.protocol},
		Reattach: &hostapi.Reattach{Protocol: p.protocol, Network: p.network, Address: p.address},
	}
}

// clientAt is client for another address that leads to the pod.
func (p *pod) clientAt(name string, r *relay) hostapi.Client {
	spec := p.client(name)
	spec.Reattach.Network, spec.Reattach.Address = "tcp", r.lis.Addr().String()
	return spec
}

// residentBytes reads how much memory the process occupies.
func (p *pod) residentBytes() int64 {
	p.T.Helper()
	return procStatus(p.T, p.Pid(), "VmRSS:")
}

// procStatus reads a size from /proc/PID/status, in bytes.
func procStatus(t *testing.T, pid int, field string) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatalf("read the state of process %d: %v", pid, err)
	}
	scan := bufio.NewScanner(bytes.NewReader(text))
	for scan.Scan() {
		words := strings.Fields(scan.Text())
		if len(words) == 3 && words[0] == field {
			kb, err := strconv.ParseInt(words[1], 10, 64)
			if err != nil {
				t.Fatalf("read %s of process %d: %v", field, pid, err)
			}
			return kb << 10
		}
	}
	t.Fatalf("process %d has no %s", pid, field)
	return 0
}
