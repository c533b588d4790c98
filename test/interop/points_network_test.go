// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

func TestPoint8BrokerPerHost(t *testing.T) {
	point{8, "the gRPC broker dies with the first host that leaves", func(t *testing.T) {
		p := startPod(t, upstream, podSpec{Plugin: single("grpc")})
		first, second := startHost(t, upstream), startHost(t, upstream)
		first.attach("first", p)
		second.attach("second", p)
		first.calledBack("first")
		first.Stop()
		var out hostapi.Outcome
		kit.Eventually(t, "callbacks of the second host fail", func() bool {
			return second.Do("UseCallback", hostapi.Count{Name: "second", Count: 1}, &out) != nil
		})
		second.works("second")
	}, func(t *testing.T) {
		p := startPod(t, fork, onNetwork(single("grpc")))
		first, second := startHost(t, fork), startHost(t, fork)
		first.attach("first", p)
		second.attach("second", p)
		first.calledBack("first")
		second.calledBack("second")
		first.Stop()
		for range 5 {
			second.calledBack("second")
		}
	}}.run(t)
}

func TestPoint8NoFurtherSockets(t *testing.T) {
	const callbacks = 3
	// sockets counts those that the plugin listens on after callbacks into it.
	sockets := func(t *testing.T, s side, p *pod) int {
		t.Helper()
		host := startHost(t, s)
		host.attach("a", p)
		for i := range callbacks {
			var out hostapi.Outcome
			host.Must("OpenCallback", hostapi.Count{Name: "a", Count: int64(i)}, &out)
		}
		host.calledBack("a")
		return len(listening(t, p.Pid()))
	}
	point{8, "brokered connections need sockets that no Service exposes", func(t *testing.T) {
		p := startPod(t, upstream, podSpec{Plugin: single("grpc")})
		if got, want := sockets(t, upstream, p), 1+callbacks; got != want {
			t.Errorf("the plugin listens on %d sockets, want %d: one more for each callback", got, want)
		}
	}, func(t *testing.T) {
		p := startPod(t, fork, onNetwork(single("grpc")))
		if got := sockets(t, fork, p); got != 1 {
			t.Errorf("the plugin listens on %d sockets, want 1", got)
		}
	}}.run(t)
}

// listening returns the sockets on which a process listens, by inode.
func listening(t *testing.T, pid int) []string {
	t.Helper()
	open := map[string]bool{}
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		// A descriptor may be closed while we look.
		if target, err := os.Readlink(link); err == nil {
			open[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] = true
		}
	}
	var found []string
	// In these tables state is column 3 or flags column 3, and the inode is
	// column 9 or 6, counted from 0.
	for file, is := range map[string]struct {
		state, inode int
		listens      string
	}{
		"tcp":  {3, 9, "0A"},
		"tcp6": {3, 9, "0A"},
		"unix": {3, 6, "00010000"},
	} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, file))
		if err != nil {
			t.Fatalf("read the sockets of process %d: %v", pid, err)
		}
		for line := range strings.Lines(string(text)) {
			words := strings.Fields(line)
			if len(words) > is.inode && words[is.state] == is.listens && open[words[is.inode]] {
				found = append(found, words[is.inode])
			}
		}
	}
	return found
}

func TestPoint9ChildrenAreNotNetworkPlugins(t *testing.T) {
	// child starts a plugin by a host that itself is on the network, and
	// returns whether the child was told so, and where it listens.
	child := func(t *testing.T, hostSide, pluginSide side, env ...string) (told bool, network string) {
		t.Helper()
		host := startHost(t, hostSide, "PLUGIN_HOST=127.0.0.1", "PLUGIN_NAME=the-host")
		host.Open(hostapi.Client{
			Name: "a", Path: peers(t).plugin(pluginSide), Env: append(env, single("netrpc").Env()),
			Versions: map[int]string{1: "netrpc"},
		})
		var r hostapi.Reattach
		host.Must("ReattachConfig", hostapi.Named{Name: "a"}, &r)
		out, err := host.Act("a", "env", "PLUGIN_HOST", 0)
		if err != nil {
			t.Fatal(err)
		}
		host.Must("Kill", hostapi.Named{Name: "a"}, &hostapi.None{})
		return out.N == 1, r.Network
	}
	point{9, "PLUGIN_HOST leaks from a host to its children", func(t *testing.T) {
		if told, network := child(t, upstream, upstream); !told || network != "unix" {
			t.Errorf("the child has PLUGIN_HOST: %v, and listens on %s; want it to have inherited it", told, network)
		}
		// What that means for a plugin that knows the variable.
		if told, network := child(t, upstream, fork); !told || network != "tcp" {
			t.Errorf("the child has PLUGIN_HOST: %v, and listens on %s; want tcp, like its host", told, network)
		}
	}, func(t *testing.T) {
		for _, plugin := range sides() {
			if told, network := child(t, fork, plugin); told || network != "unix" {
				t.Errorf("the child of %s has PLUGIN_HOST: %v, and listens on %s; want a child's unix socket", plugin, told, network)
			}
		}
		// A value of the host's own is a copy of its environment.
		if told, network := child(t, fork, fork, "PLUGIN_HOST=127.0.0.1"); told || network != "unix" {
			t.Errorf("a child with a copy of its host's environment has PLUGIN_HOST: %v, and listens on %s; want a unix socket", told, network)
		}
		// Another one was asked for.
		if told, network := child(t, fork, fork, "PLUGIN_HOST=localhost"); !told || network != "tcp" {
			t.Errorf("a child whose Cmd.Env sets PLUGIN_HOST has it: %v, and listens on %s; want tcp", told, network)
		}
	}}.run(t)
}

func TestPoint10CookieOverTheNetwork(t *testing.T) {
	stranger := func(t *testing.T, s side, p *pod) error {
		t.Helper()
		host := startHost(t, s)
		spec := p.client("a")
		spec.WrongCookie = true
		host.Must("New", spec, &hostapi.None{})
		if err := host.Do("Connect", hostapi.Named{Name: "a"}, &hostapi.Connection{}); err != nil {
			return err
		}
		host.Must("Dispense", hostapi.Kind{Name: "a", Kind: "store"}, &hostapi.None{})
		host.works("a")
		return nil
	}
	point{10, "a host with the cookie of another plugin is served", protocols(func(t *testing.T, protocol string) {
		if err := stranger(t, upstream, startPod(t, upstream, podSpec{Plugin: single(protocol)})); err != nil {
			t.Errorf("the host is refused: %v", err)
		}
	}), protocols(func(t *testing.T, protocol string) {
		err := stranger(t, fork, startPod(t, fork, onNetwork(single(protocol))))
		if err == nil || !strings.Contains(err.Error(), "cookie") {
			t.Errorf("the host ends with %v, want a refusal about the cookie", err)
		}
	})}.run(t)
}
