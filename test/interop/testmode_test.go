// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/reattach/reattach/test/interop/kit"
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
	var stdout kit.Buffer
	tested := startPod(t, p.plugin, podSpec{Plugin: plugin, Stdout: &stdout})
	o := &observer{t: t, host: startHost(t, p.host)}
	spec := tested.client("a")
	spec.Reattach.Test, spec.Reattach.Pid, spec.Reattach.Version = true, tested.Pid(), 1
	a := hostapi.Named{Name: "a"}
	o.host.Must("New", spec, &hostapi.None{})
	o.note("connect", "ok", o.host.Do("Connect", a, &hostapi.Connection{}))
	o.note("version", o.host.State("a").Version, nil)
	o.session()
	o.calls()
	o.streams()
	var out hostapi.Outcome
	err := o.host.Do("UseCallback", hostapi.Count{Name: "a", Count: 5}, &out)
	o.note("plugin calls host", fmt.Sprint(out.N, out.Text), err)
	_, err = o.host.Act("a", "say", "to stdout\n", 0)
	o.note("print", "ok", err)
	o.note("stdout in the host", kit.Within(kit.Patience, func() bool {
		return strings.Contains(o.host.Output("a").Stdout, "to stdout\n")
	}), nil)
	o.note("and on the plugin's own", kit.Within(kit.Patience, func() bool {
		return strings.Contains(stdout.String(), "to stdout\n")
	}), nil)
	o.host.Must("Kill", a, &hostapi.None{})
	o.note("exited after kill", o.host.State("a").Exited, nil)

	next := startHost(t, p.host)
	spec.Name = "b"
	next.Open(spec)
	next.works("b")
	o.note("the plugin lives on", tested.Running(), nil)
	tested.Signal(syscall.SIGTERM)
	o.note("exit code when its context ends", tested.AwaitExit(), nil)
	return o.checks
}
