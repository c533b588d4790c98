// SPDX-License-Identifier: MPL-2.0

package interop

import (
	"fmt"
	"strings"
	"testing"

	"github.com/reattach/reattach/test/interop/kit"
	"github.com/reattach/reattach/test/interop/peer/hostapi"
)

// remoteCell is one way to attach to a plugin over TCP, without its process id.
type remoteCell struct {
	pair
	protocol    string
	tls         bool
	multiplexed bool
}

func (c remoteCell) String() string {
	tls := map[bool]string{false: "plain", true: "TLS"}[c.tls]
	callback := map[bool]string{false: "default", true: "multiplexed"}[c.multiplexed]
	return strings.Join([]string{string(c.host) + "-" + string(c.plugin), c.protocol, tls, callback}, "/")
}

// refusal is how the cell is refused, or "" if it must work.
func (c remoteCell) refusal() string {
	switch {
	case !c.multiplexed:
		return ""
	case c.host == upstream:
		return "gRPC broker multiplexing is not supported with Reattach config"
	case c.plugin == upstream:
		// Only its environment could have told it, when it was started.
		return "client requested gRPC broker multiplexing but plugin does not support the feature"
	}
	return ""
}

// TestRemotePairs attaches hosts to plugins that run elsewhere: the fork's and
// upstream's hosts to a plugin of the fork in network mode, and the fork's host
// to a plugin of upstream that a relay has put on the network. All of them must
// be able to do what a host can do with its child, and leave it to the next.
func TestRemotePairs(t *testing.T) {
	served, refused := 0, 0
	for _, p := range []pair{{upstream, fork}, {fork, fork}, {fork, upstream}} {
		for _, protocol := range []string{"netrpc", "grpc"} {
			for _, tls := range []bool{false, true} {
				for _, multiplexed := range []bool{false, true} {
					c := remoteCell{p, protocol, tls, multiplexed}
					t.Run(c.String(), func(t *testing.T) { c.run(t) })
					if c.refusal() == "" {
						served++
					} else {
						refused++
					}
				}
			}
		}
	}
	report(t, fmt.Sprintf("remote plugins over TCP: %d cells: %d served, %d refused as they must be", served+refused, served, refused))
}

func (c remoteCell) run(t *testing.T) {
	p, spec := c.start(t)
	host := startHost(t, c.host)
	host.Must("New", spec, &hostapi.None{})
	err := host.Do("Connect", hostapi.Named{Name: spec.Name}, &hostapi.Connection{})
	if want := c.refusal(); want != "" {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the host connects with error %v, want %q", err, want)
		}
		return
	}
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	host.Must("Dispense", hostapi.Kind{Name: spec.Name, Kind: "store"}, &hostapi.None{})
	useAll(t, host, spec.Name)
	host.Must("Kill", hostapi.Named{Name: spec.Name}, &hostapi.None{})
	again := startHost(t, fork)
	spec.Name = "another"
	again.Open(spec)
	again.works("another")
	again.Must("Kill", hostapi.Named{Name: "another"}, &hostapi.None{})
	if !p.Running() {
		t.Errorf("the plugin ended with code %d when its host left", p.ExitCode)
	}
}

// start starts the plugin and returns how the host gets there.
func (c remoteCell) start(t *testing.T) (*pod, hostapi.Client) {
	t.Helper()
	secret := newSecretDir(t)
	plugin := single(c.protocol)
	if c.tls && (c.host == upstream || c.plugin == upstream) {
		// Upstream's brokered connections have TLS of their own, in which the
		// plugin is a client too. Files make it a server only.
		plugin.TLSDir = secret.dir
	}
	var p *pod
	var spec hostapi.Client
	switch {
	case c.plugin == upstream:
		p = startPod(t, upstream, podSpec{Plugin: plugin})
		spec = p.clientAt("a", startRelay(t, p))
	case c.tls && c.host == fork:
		p = startPod(t, fork, onNetwork(plugin, secret.env()...))
		spec = p.client("a")
	default:
		p = startPod(t, fork, onNetwork(plugin))
		spec = p.client("a")
	}
	if c.tls {
		spec.TLS = secret.dir
	}
	spec.Multiplex = c.multiplexed
	return p, spec
}

// useAll does everything that a host can do with a plugin.
func useAll(t *testing.T, host *hostProc, name string) {
	t.Helper()
	host.Must("Ping", hostapi.Named{Name: name}, &hostapi.None{})
	host.works(name)
	if _, err := host.Act(name, "fail", "the plugin says no", 0); err == nil || !strings.Contains(err.Error(), "the plugin says no") {
		t.Errorf("an error of the plugin arrives as %v", err)
	}
	var out hostapi.Outcome
	host.Must("List", hostapi.Count{Name: name, Count: 2000}, &out)
	if out.N != 2000 {
		t.Errorf("a stream of 2000 has %d entries", out.N)
	}
	host.Must("Echo", hostapi.Count{Name: name, Count: 100}, &out)
	for i := range 3 {
		host.calledBack(name)
		host.Must("OpenCallback", hostapi.Count{Name: name, Count: int64(i)}, &out)
		if out.N != int64(i)+1 || out.Text != "plugin" {
			t.Errorf("callback into the plugin: %d from %q, want %d from the plugin", out.N, out.Text, i+1)
		}
	}
	if _, err := host.Act(name, "say", "a line\n", 0); err != nil {
		t.Errorf("print: %v", err)
	}
	kit.Eventually(t, "what the plugin prints arrives", func() bool { return strings.Contains(host.Output(name).Stdout, "a line\n") })
}

// TestAutoMTLSNeedsTLSOnANetwork asks for one-time certificates where nobody
// can hand them over.
func TestAutoMTLSNeedsTLSOnANetwork(t *testing.T) {
	p := startPod(t, fork, onNetwork(single("grpc")))
	host := startHost(t, fork)
	spec := p.client("a")
	spec.TLS = "auto"
	host.Must("New", spec, &hostapi.None{})
	err := host.Do("Connect", hostapi.Named{Name: "a"}, &hostapi.Connection{})
	if err == nil || !strings.Contains(err.Error(), "needs TLSConfig") {
		t.Errorf("the host connects with error %v, want one that says what is missing", err)
	}
}
