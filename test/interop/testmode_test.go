// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// TestTestMode attaches hosts to plugins in test mode, as the test suites of
// well-known plugins do, and compares what they see with upstream.
func TestTestMode(t *testing.T) {
	protocols(func(t *testing.T, protocol string) {
		var truth []check
		for _, p := range pairs() {
			seen := inTestMode(t, p, protocol)
			if truth == nil {
				truth = seen
			}
			if diff := cmp.Diff(truth, seen); diff != "" {
				t.Errorf("%s sees something else than upstream's own (-upstream +this):\n%s", p, diff)
			}
		}
		report(t, fmt.Sprintf("test mode, %-6s: %d pairs, %d checks each", protocol, len(pairs()), len(truth)))
	})(t)
}

func inTestMode(t *testing.T, p pair, protocol string) []check {
	t.Helper()
	plugin := single(protocol)
	plugin.TestMode = true
	var stdout lockedBuffer
	tested := startPod(t, p.plugin, podSpec{Plugin: plugin, Stdout: &stdout})
	o := &observer{t: t, host: startHost(t, p.host)}
	spec := tested.client("a")
	spec.Reattach.Test, spec.Reattach.Pid, spec.Reattach.Version = true, tested.pid(), 1
	a := hostapi.Named{Name: "a"}
	o.host.must("New", spec, &hostapi.None{})
	o.note("connect", "ok", o.host.do("Connect", a, &hostapi.Connection{}))
	o.note("version", o.host.state("a").Version, nil)
	o.session()
	o.calls()
	o.streams()
	var out hostapi.Outcome
	err := o.host.do("UseCallback", hostapi.Count{Name: "a", Count: 5}, &out)
	o.note("plugin calls host", fmt.Sprint(out.N, out.Text), err)
	_, err = o.host.act("a", "say", "to stdout\n", 0)
	o.note("print", "ok", err)
	o.note("stdout in the host", within(patience, func() bool {
		return strings.Contains(o.host.output("a").Stdout, "to stdout\n")
	}), nil)
	o.note("and on the plugin's own", within(patience, func() bool {
		return strings.Contains(stdout.String(), "to stdout\n")
	}), nil)
	o.host.must("Kill", a, &hostapi.None{})
	o.note("exited after kill", o.host.state("a").Exited, nil)

	next := startHost(t, p.host)
	spec.Name = "b"
	next.open(spec)
	next.works("b")
	o.note("the plugin lives on", tested.running(), nil)
	tested.signal(syscall.SIGTERM)
	o.note("exit code when its context ends", tested.awaitExit(), nil)
	return o.checks
}
