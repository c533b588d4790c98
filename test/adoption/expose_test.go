// SPDX-License-Identifier: MPL-2.0

package adoption

import (
	"encoding/json"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// exposed is an executable behind basic expose.
type exposed struct {
	*pod
	reattach hostapi.Reattach // with Test
}

// startExpose exposes a plugin that has one version of one protocol.
func startExpose(t *testing.T, s side, protocol string, flags ...string) *exposed {
	t.Helper()
	config := hostapi.Plugin{Versions: map[int]string{1: protocol}, MaxMessage: 64 << 20}
	return startExposed(t, []string{programs(t).plugin(s)}, append(flags, "--print-reattach"), config.Env())
}

func startExposed(t *testing.T, command, flags []string, env ...string) *exposed {
	t.Helper()
	args := append([]string{"expose", "--listen", "127.0.0.1:0", "--cookie", cookie}, flags...)
	e := &exposed{}
	var said struct {
		Protocol        string
		ProtocolVersion int
		Pid             int
		Test            bool
		Addr            struct{ Network, String string }
	}
	e.pod = startProgram(t, exec.Command(programs(t).basic(), append(append(args, "--"), command...)...), func(line string) (string, bool) {
		if json.Unmarshal([]byte(line), &said) != nil {
			return "", false
		}
		return said.Addr.String, true
	}, env...)
	e.reattach = hostapi.Reattach{
		Protocol: said.Protocol, Version: said.ProtocolVersion, Network: said.Addr.Network, Address: said.Addr.String, Pid: said.Pid, Test: said.Test,
	}
	return e
}

// client is how a host of a library reaches it: ours as a plugin of the network, another
// one by the JSON.
func (e *exposed) client(name string, host side) hostapi.Client {
	reattach := e.reattach
	if host == ours {
		reattach.Pid, reattach.Test = 0, false
	}
	return hostapi.Client{Name: name, Versions: map[int]string{reattach.Version: reattach.Protocol}, Reattach: &reattach}
}

// TestExpose has plugins of the original library, as they are, serve hosts of it and of
// ours over the network.
func TestExpose(t *testing.T) {
	for _, plugin := range []side{upstream, old} {
		for _, host := range []side{upstream, old, ours} {
			for _, protocol := range []string{"netrpc", "grpc"} {
				for _, flag := range []string{"", "--auto-mtls"} {
					t.Run(strings.Join([]string{string(plugin), string(host), protocol, flag}, "/"), func(t *testing.T) {
						t.Parallel()
						testExpose(t, plugin, host, protocol, flag)
					})
				}
			}
		}
	}
}

func testExpose(t *testing.T, plugin, host side, protocol, flag string) {
	var flags []string
	if flag != "" {
		flags = append(flags, flag)
	}
	e := startExpose(t, plugin, protocol, flags...)
	h := startHost(t, host)
	walk(h, e.client("a", host), protocol)
	pid := h.pid("a")
	h.Must("Kill", hostapi.Named{Name: "a"}, none)
	if gone(pid) || !e.Running() {
		t.Error("the plugin has ended with a host")
	}
	e.End(syscall.SIGTERM)
	kit.Eventually(t, "the plugin ends with what exposes it", func() bool { return gone(pid) })
}

// TestExposeCrowd has twenty unchanged hosts use one exposed plugin at once, and kill it
// when they are done.
func TestExposeCrowd(t *testing.T) {
	for _, protocol := range []string{"netrpc", "grpc"} {
		t.Run(protocol, func(t *testing.T) {
			const crowd = 20
			e := startExpose(t, upstream, protocol)
			hosts := make([]*hostProc, crowd)
			for i := range hosts {
				hosts[i] = startHost(t, upstream)
				hosts[i].Open(e.client("a", upstream))
			}
			pid := hosts[0].pid("a")
			var loads sync.WaitGroup
			results := make([]hostapi.LoadResult, crowd)
			for i, h := range hosts {
				loads.Go(func() {
					h.Must("Load", hostapi.Load{Name: "a", ForMS: 1000}, &results[i])
					h.Must("Kill", hostapi.Named{Name: "a"}, none)
				})
			}
			loads.Wait()
			var calls int64
			for _, r := range results {
				calls += r.Calls
				if r.Failed > 0 || r.Swapped > 0 || r.Calls == 0 {
					t.Errorf("%d of %d calls failed, %d answers were another's: %s", r.Failed, r.Calls, r.Swapped, r.FirstErr)
				}
			}
			last := startHost(t, upstream)
			last.Open(e.client("a", upstream))
			if now := last.pid("a"); now != pid {
				t.Errorf("the plugin's process was %d and is %d", pid, now)
			}
			counted(t, "hosts", crowd)
			counted(t, "calls", calls)
			t.Logf("%d hosts made %d calls, and one process served them all", crowd, calls)
		})
	}
}
