// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// The tests of this file and of its neighbours show, one by one, what breaks in
// upstream once a plugin is not a child, and that it does not in the fork. The
// half of upstream asserts upstream's behaviour, so that it is noticed when
// upstream mends it. Upstream's plugin has no network mode: it is started as it
// is, serves its unix socket, and its hosts reattach to that without a process
// id, as they would have to over a network.

// point is one fault of upstream and its absence in the fork.
type point struct {
	number int
	what   string

	upstream, fork func(*testing.T)
}

// run runs both halves and reports what they showed.
func (p point) run(t *testing.T) {
	t.Helper()
	t.Parallel() // They mostly wait.
	half := func(name string, run func(*testing.T)) string {
		verdict := "not run"
		t.Run(name, func(t *testing.T) {
			verdict = "NO"
			run(t)
			if !t.Failed() {
				verdict = "yes"
			}
		})
		return verdict
	}
	shown, mended := half("upstream", p.upstream), half("fork", p.fork)
	report(t, fmt.Sprintf("point %2d: %-60s upstream shows it: %-3s  fork is free of it: %s", p.number, p.what, shown, mended))
}

// protocols runs a half for both protocols.
func protocols(run func(t *testing.T, protocol string)) func(*testing.T) {
	return func(t *testing.T) {
		for _, protocol := range []string{"netrpc", "grpc"} {
			t.Run(protocol, func(t *testing.T) { run(t, protocol) })
		}
	}
}

// works fails the test unless the client's stub reaches the plugin.
func (h *hostProc) works(name string) {
	h.T.Helper()
	key := "key of " + name
	h.Must("Put", hostapi.Entry{Name: name, Key: key, Value: []byte(name)}, &hostapi.None{})
	var e hostapi.Entry
	h.Must("Get", hostapi.Entry{Name: name, Key: key}, &e)
	if string(e.Value) != name {
		h.T.Fatalf("client %q got %q back", name, e.Value)
	}
}

// calledBack fails the test unless the plugin reaches the client over the broker.
func (h *hostProc) calledBack(name string) {
	h.T.Helper()
	var out hostapi.Outcome
	h.Must("UseCallback", hostapi.Count{Name: name, Count: 3}, &out)
	if out.N != 6 || out.Text != name {
		h.T.Fatalf("the plugin called back client %q and got %d from %q, want 6 from %q", name, out.N, out.Text, name)
	}
}

func TestPoint1VersionsOnReattach(t *testing.T) {
	pod := hostapi.Plugin{Versions: map[int]string{2: "grpc", 3: "grpc"}}
	point{1, "reattach negotiates no version", func(t *testing.T) {
		p := startPod(t, upstream, podSpec{Plugin: pod})
		if p.version != "2" {
			t.Errorf("without a host the plugin serves version %s, want 2, its lowest", p.version)
		}
		host := startHost(t, upstream)
		for name, versions := range map[string]map[int]string{
			"knows both": {2: "grpc", 3: "grpc"}, "knows neither": {7: "grpc"},
		} {
			spec := p.client(name)
			spec.Versions = versions
			host.Must("New", spec, &hostapi.None{})
			host.Must("Connect", hostapi.Named{Name: name}, &hostapi.Connection{})
			if v := host.State(name).Version; v != 0 {
				t.Errorf("a host that %s negotiated version %d, want 0: none", name, v)
			}
			err := host.Do("Dispense", hostapi.Kind{Name: name, Kind: "store"}, &hostapi.None{})
			if err == nil || err.Error() != "unknown plugin type: store" {
				t.Errorf("a host that %s dispensed with error %v, want one that says the kind is unknown", name, err)
			}
		}
	}, func(t *testing.T) {
		p := startPod(t, fork, onNetwork(pod))
		host := startHost(t, fork)
		for name, each := range map[string]struct {
			versions map[int]string
			want     int
		}{
			"new host": {map[int]string{2: "grpc", 3: "grpc"}, 3},
			"old host": {map[int]string{2: "grpc"}, 2},
		} {
			spec := p.client(name)
			spec.Versions = each.versions
			host.Open(spec)
			if v := host.State(name).Version; v != each.want {
				t.Errorf("the %s negotiated version %d, want %d", name, v, each.want)
			}
			host.works(name)
		}
		spec := p.client("stranger")
		spec.Versions = map[int]string{7: "grpc"}
		host.Must("New", spec, &hostapi.None{})
		err := host.Do("Connect", hostapi.Named{Name: "stranger"}, &hostapi.Connection{})
		if err == nil || !strings.Contains(err.Error(), "version") {
			t.Errorf("a host without a common version connects with error %v, want one about versions", err)
		}
	}}.run(t)
}

func TestPoint2DetachKillsNobody(t *testing.T) {
	point{2, "Kill and Close end a shared plugin for every host", protocols(func(t *testing.T, protocol string) {
		for _, command := range []string{"Kill", "Close"} {
			p := startPod(t, upstream, podSpec{Plugin: single(protocol)})
			leaver, stayer := startHost(t, upstream), startHost(t, upstream)
			leaver.attach("leaver", p)
			stayer.attach("stayer", p)
			_ = leaver.Do(command, hostapi.Named{Name: "leaver"}, &hostapi.None{})
			p.AwaitExit()
			if _, err := stayer.Act("stayer", "report", "", 0); err == nil {
				t.Errorf("after %s of one host the other's call succeeds", command)
			}
		}
	}), protocols(func(t *testing.T, protocol string) {
		p := startPod(t, fork, onNetwork(single(protocol)))
		stayer := startHost(t, fork)
		stayer.attach("stayer", p)
		for _, leaves := range sides() { // upstream's hosts must not end it either
			for _, command := range []string{"Kill", "Close"} {
				leaver := startHost(t, leaves)
				leaver.attach("leaver", p)
				leaver.works("leaver")
				_ = leaver.Do(command, hostapi.Named{Name: "leaver"}, &hostapi.None{})
				stayer.works("stayer")
				stayer.calledBack("stayer")
			}
		}
		if !p.Running() {
			t.Errorf("the plugin ended with code %d", p.ExitCode)
		}
	})}.run(t)
}

func TestPoint3AliveWithoutPid(t *testing.T) {
	// Upstream looks for process 0 once a second.
	const limit = 3 * hostPollInterval
	point{3, "Exited and the context say that a live plugin has ended", protocols(func(t *testing.T, protocol string) {
		p := startPod(t, upstream, podSpec{Plugin: single(protocol)})
		host := startHost(t, upstream)
		host.attach("a", p)
		kit.Eventually(t, "upstream calls the plugin exited", func() bool { return host.State("a").Exited })
		if done := host.State("a").ContextDone; done != (protocol == "grpc") {
			t.Errorf("the context of %s has ended: %v", protocol, done)
		}
		host.works("a")
		if !p.Running() {
			t.Error("the plugin has ended indeed")
		}
	}), protocols(func(t *testing.T, protocol string) {
		p := startPod(t, fork, onNetwork(single(protocol)))
		host := startHost(t, fork)
		host.attach("a", p)
		if kit.Within(limit, func() bool { s := host.State("a"); return s.Exited || s.ContextDone }) {
			t.Fatalf("a live plugin is called exited: %+v", host.State("a"))
		}
		host.works("a")
		_ = p.Cmd.Process.Kill()
		p.AwaitExit()
		kit.Eventually(t, "the plugin's end is noticed", func() bool {
			s := host.State("a")
			return s.Exited && (s.ContextDone || protocol == "netrpc")
		})
	})}.run(t)
}

func TestPoint4NewSessionAfterLoss(t *testing.T) {
	// lose attaches through a relay that then loses its connections.
	lose := func(t *testing.T, s side, p *pod) *hostProc {
		t.Helper()
		r := startRelay(t, p)
		host := startHost(t, s)
		host.Open(p.clientAt("a", r))
		host.works("a")
		r.cut()
		return host
	}
	again := func(t *testing.T, host *hostProc) int {
		t.Helper()
		var c hostapi.Connection
		host.Must("Connect", hostapi.Named{Name: "a"}, &c)
		return c.Serial
	}
	point{4, "Client returns the same dead client after a lost connection", protocols(func(t *testing.T, protocol string) {
		p := startPod(t, upstream, podSpec{Plugin: single(protocol)})
		host := lose(t, upstream, p)
		// gRPC itself redials, but what the library had on the connection, the
		// broker for one, is gone for good.
		command := map[string]string{"netrpc": "Put", "grpc": "UseCallback"}[protocol]
		if err := host.Do(command, map[string]any{"Name": "a", "Count": 1}, &hostapi.Outcome{}); err == nil {
			t.Errorf("%s works on the dead client", command)
		}
		for range 3 {
			if serial := again(t, host); serial != 0 {
				t.Errorf("Client returned client number %d, want 0: the dead one", serial)
			}
		}
	}), protocols(func(t *testing.T, protocol string) {
		p := startPod(t, fork, onNetwork(single(protocol)))
		host := lose(t, fork, p)
		kit.Eventually(t, "the loss is noticed and Client returns a new session", func() bool { return again(t, host) == 1 })
		host.Must("Dispense", hostapi.Kind{Name: "a", Kind: "store"}, &hostapi.None{})
		host.works("a")
		host.calledBack("a")
	})}.run(t)
}

// silent accepts connections and says nothing.
func silent(t *testing.T) net.Addr {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		var conns []net.Conn
		for {
			conn, err := lis.Accept()
			if err != nil {
				break
			}
			conns = append(conns, conn)
		}
		for _, conn := range conns {
			_ = conn.Close()
		}
	})
	t.Cleanup(func() {
		_ = lis.Close()
		accepting.Wait()
	})
	return lis.Addr()
}
