// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"net/rpc"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// TestDrain sends SIGTERM to a plugin that is in the middle of 200 calls, half
// of them over net/rpc and half over gRPC, of 100 ms to 2 s each.
func TestDrain(t *testing.T) {
	const (
		hostsEach = 4
		callsEach = 25
		calls     = 2 * hostsEach * callsEach
		limit     = 20 * time.Second
	)
	gate := filepath.Join(t.TempDir(), "gate")
	plugin := hostapi.Plugin{Versions: map[int]string{1: "netrpc", 2: "grpc"}, SleepGate: gate}
	p := startPod(t, fork, onNetwork(plugin, "PLUGIN_DRAIN_TIMEOUT="+limit.String()))
	host := startHost(t, fork)
	var loads []*rpc.Call
	for version, protocol := range plugin.Versions {
		for i := range hostsEach {
			spec := p.client(fmt.Sprint(protocol, i))
			spec.Versions = map[int]string{version: protocol}
			host.Open(spec)
			load := hostapi.Load{Name: spec.Name}
			for call := range callsEach {
				load.SleepMS = append(load.SleepMS, 100+int64(call)*1900/(callsEach-1))
			}
			loads = append(loads, host.Send("Load", load, &hostapi.LoadResult{}))
		}
	}
	var notices []*rpc.Call
	for version, protocol := range plugin.Versions {
		spec := p.client("told over " + protocol)
		spec.Versions = map[int]string{version: protocol}
		host.Must("Attach", spec, &hostapi.SessionInfo{})
		notices = append(notices, host.Send("AwaitDraining", hostapi.Named{Name: spec.Name}, &hostapi.None{}))
	}
	kit.Eventually(t, "all calls are in flight", func() bool { return host.Report("told over grpc").Sleeping == calls })

	start := time.Now()
	p.Signal(syscall.SIGTERM)
	for _, notice := range notices {
		select {
		case <-notice.Done:
			if notice.Error != nil {
				t.Errorf("wait for the notice: %v", notice.Error)
			}
		case <-time.After(kit.Patience):
			t.Fatal("a host was not told that the plugin is about to leave")
		}
	}
	told := time.Since(start)
	refuseNewcomers(t, p, plugin)
	writeFile(t, gate, nil)
	var finished int64
	for _, load := range loads {
		select {
		case <-load.Done:
		case <-time.After(kit.Patience):
			t.Fatal("calls in flight do not end")
		}
		got := load.Reply.(*hostapi.LoadResult)
		if load.Error != nil || got.Failed > 0 || got.Swapped > 0 {
			t.Errorf("%s: %d of %d calls failed, %d had the answer of another: %s %v",
				load.Args.(hostapi.Load).Name, got.Failed, got.Calls, got.Swapped, got.FirstErr, load.Error)
		}
		finished += got.Calls - got.Failed
	}
	code := p.AwaitExit()
	took := time.Since(start)
	if finished != calls || code != 0 || took > limit {
		t.Errorf("%d of %d calls finished, exit code %d after %v; want all, 0, within %v", finished, calls, code, took, limit)
	}
	report(t, fmt.Sprintf("SIGTERM during %d calls of 100 ms to 2 s, both protocols: %d finished, exit code %d; hosts were told after %v, the process ended after %v",
		calls, finished, code, told.Round(time.Millisecond), took.Round(time.Millisecond)))
}

// refuseNewcomers fails the test if a draining plugin takes another host.
func refuseNewcomers(t *testing.T, p *pod, plugin hostapi.Plugin) {
	t.Helper()
	for version, protocol := range plugin.Versions {
		for _, s := range sides() {
			late := startHost(t, s)
			spec := p.client("late")
			spec.Versions = map[int]string{1: protocol}
			spec.Reattach.Protocol = protocol
			if s == fork {
				spec.Versions = map[int]string{version: protocol}
			}
			late.Must("New", spec, &hostapi.None{})
			err := late.Do("Connect", hostapi.Named{Name: "late"}, &hostapi.Connection{})
			if err == nil {
				err = late.Do("Ping", hostapi.Named{Name: "late"}, &hostapi.None{})
			}
			if err == nil {
				t.Errorf("a draining plugin takes a new host of %s over %s", s, protocol)
			}
		}
	}
}
