// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/daemon/daemontest/address"
	"github.com/reattach/reattach/host/stub"
)

// grpcOnly is a greeter's glue that speaks no net/rpc.
type grpcOnly struct {
	plugin.NetRPCUnsupportedPlugin
	glue *commons.GreeterPlugin
}

func (g grpcOnly) GRPCServer(b *plugin.GRPCBroker, s *grpc.Server) error {
	return g.glue.GRPCServer(b, s)
}

func (g grpcOnly) GRPCClient(ctx context.Context, b *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return g.glue.GRPCClient(ctx, b, c)
}

// The ways in which a plugin of the tests serves a greeter, and some a ponger.
const (
	rpcV1    = "netrpc v1" // version 1 by net/rpc
	grpcV1   = "grpc v1"   // version 1 by gRPC
	bothV1   = "both v1"   // version 1 by either
	pongV1   = "pong v1"   // version 1 by net/rpc, with a ponger
	greetV2  = "greet v2"  // version 2 by gRPC, without it
	pongV1V2 = "pong v1v2" // both
)

func served(way, greeting string) map[int]plugin.PluginSet {
	glue := &commons.GreeterPlugin{Impl: greeter{greeting: greeting}}
	set := plugin.PluginSet{commons.GreeterKind: glue}
	pongs := plugin.PluginSet{commons.GreeterKind: glue, commons.PingPongerKind: &commons.PingPongerPlugin{Impl: ponger{}}}
	switch way {
	case rpcV1:
		return map[int]plugin.PluginSet{1: commons.NetRPC(set)}
	case grpcV1:
		return map[int]plugin.PluginSet{1: {commons.GreeterKind: grpcOnly{glue: glue}}}
	case bothV1:
		return map[int]plugin.PluginSet{1: set}
	case pongV1:
		return map[int]plugin.PluginSet{1: commons.NetRPC(pongs)}
	case greetV2:
		return map[int]plugin.PluginSet{2: set}
	case pongV1V2:
		return map[int]plugin.PluginSet{1: commons.NetRPC(pongs), 2: set}
	}
	panic("no such way: " + way)
}

// place serves at one address, one plugin after the other.
type place struct {
	t       *testing.T
	address string
	stop    func()
}

func (p *place) serve(way, greeting string) {
	p.t.Helper()
	p.close()
	lis, err := net.Listen("tcp", p.address)
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- plugin.ServeListener(ctx, lis, &plugin.ServeConfig{
			HandshakeConfig: commons.Handshake(), VersionedPlugins: served(way, greeting),
			GRPCServer: plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger(),
			Network: &plugin.NetworkConfig{Name: "greeter", DrainTimeout: time.Second},
		})
	}()
	p.stop = func() {
		cancel()
		<-ended
	}
}

func (p *place) close() {
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
}

func newPlace(t *testing.T, way, greeting string) *place {
	t.Helper()
	p := &place{t: t, address: address.Hold(t)}
	p.serve(way, greeting)
	t.Cleanup(p.close)
	return p
}

// oneVersion are the options of a host whose one version speaks either protocol.
func oneVersion(list string) daemon.Options {
	o := options(list)
	o.Versions, o.Required = nil, []string{"greeter"}
	o.Kinds = []daemon.Kind{daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{})}
	return o
}

// twoVersions are those of a host that has its ponger in version 1 only.
func twoVersions(list string) daemon.Options {
	o := options(list)
	o.Required = []string{"greeter"}
	o.Kinds[1] = daemon.NewKind[commons.PingPonger](commons.PingPongerKind, &commons.PingPongerPlugin{})
	o.Versions = func(set plugin.PluginSet) map[int]plugin.PluginSet {
		return map[int]plugin.PluginSet{1: commons.NetRPC(set), 2: {commons.GreeterKind: set[commons.GreeterKind]}}
	}
	return o
}

// notServed checks that nothing says the plugin is ready although it has an endpoint,
// and that a call fails at once, for the reason.
func notServed(d *daemon.Daemon, kind, why string, call func() error) error {
	p, _ := d.Plugin("greeter")
	if len(p.Endpoints) != 1 || p.Endpoints[0].State.String() != "READY" {
		return fmt.Errorf("the endpoint is %+v", p.Endpoints)
	}
	if e := p.Endpoints[0]; !slices.Equal(e.UnreadyKinds, []string{kind}) || !strings.Contains(e.Warning, why) {
		return fmt.Errorf("endpoint: unready for %q, warning %q, want %q", e.UnreadyKinds, e.Warning, why)
	}
	if p.Ready || len(p.Problems) != 1 || !strings.Contains(p.Problems[0], "daemon.WithSwitch") {
		return fmt.Errorf("plugin: ready %v, problems %q", p.Ready, p.Problems)
	}
	if missing := d.Missing(); len(missing) != 1 || !strings.Contains(missing[0], "kind "+kind) {
		return fmt.Errorf("missing: %q", missing)
	}
	begun := time.Now()
	err := call()
	fault, ok := stub.Cause(err)
	if !ok || fault.Reason != stub.ReasonUnavailable || fault.MayHaveRun || !strings.Contains(err.Error(), "not \"") {
		return fmt.Errorf("the call gave %w", err)
	}
	if took := time.Since(begun); took > daemon.DefaultOptions().CallTimeout/2 {
		return fmt.Errorf("the call failed after %v", took)
	}
	return nil
}

// TestProtocolOfAPlaceChanges holds that what was dispensed stays alive when its
// plugin changes protocol, as far as the two have one in common, that all is said
// where they have none, and that it lives again when they have.
func TestProtocolOfAPlaceChanges(t *testing.T) {
	cases := map[string]struct {
		reason        string
		first, second string
		speaks        string // what the plugin's sessions speak then
		alive         bool
	}{
		"to either":         {"net/rpc is asked for", rpcV1, bothV1, rpcV1, true},
		"to gRPC":           {"there is nothing in common", rpcV1, grpcV1, grpcV1, false},
		"from either":       {"gRPC was taken first", bothV1, rpcV1, rpcV1, false},
		"from gRPC":         {"there is nothing in common", grpcV1, rpcV1, rpcV1, false},
		"gRPC to either":    {"gRPC is asked for", grpcV1, bothV1, grpcV1, true},
		"either, then gRPC": {"gRPC was taken first", bothV1, grpcV1, grpcV1, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			at := newPlace(t, tc.first, "first")
			d, _ := start(t, oneVersion("greeter="+at.address))
			g, err := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter", commons.GreeterKind)
			if err != nil {
				t.Fatal(err)
			}
			greet := func() error {
				_, err := g.Greet("Ada")
				return err
			}
			if err := greet(); err != nil {
				t.Fatal(err)
			}
			at.serve(tc.second, "second")
			eventually(t, func() error { return attached(d, tc.speaks) })
			if !tc.alive {
				if err := notServed(d, commons.GreeterKind, "it speaks "+tc.speaks, greet); err != nil {
					t.Errorf("%s: %v", tc.reason, err)
				}
				at.serve(tc.first, "second")
			}
			eventually(t, func() error {
				if said, err := g.Greet("Ada"); said != "second Ada" || err != nil {
					return fmt.Errorf("%s: %q, %w", tc.reason, said, err)
				}
				if missing := d.Missing(); len(missing) > 0 {
					return fmt.Errorf("missing: %q", missing)
				}
				return nil
			})
		})
	}
}

// attached checks that all endpoints are ready and speak so.
func attached(d *daemon.Daemon, speaks string) error {
	p, _ := d.Plugin("greeter")
	for _, e := range p.Endpoints {
		if got := fmt.Sprintf("%s v%d", e.Protocol, e.Version); e.State.String() != "READY" || got != speaks {
			return fmt.Errorf("%s is %s and speaks %s, want %s", e.ID, e.State, got, speaks)
		}
	}
	return nil
}

// TestKindOfOneVersion is the same for a kind that only one of two versions has, and
// shows that the other kinds are served in any case.
func TestKindOfOneVersion(t *testing.T) {
	at := newPlace(t, pongV1, "first")
	d, _ := start(t, twoVersions("greeter="+at.address))
	g, err := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter", commons.GreeterKind)
	if err != nil {
		t.Fatal(err)
	}
	p, err := daemon.Dispense[commons.PingPonger](t.Context(), d, "greeter", commons.PingPongerKind)
	if err != nil {
		t.Fatal(err)
	}
	ping := func() error {
		_, err := p.Ping()
		return err
	}
	for _, step := range []struct {
		way, speaks string
		pongs       bool
	}{{pongV1, "netrpc v1", true}, {pongV1V2, "netrpc v1", true}, {greetV2, "grpc v2", false}, {pongV1V2, "netrpc v1", true}} {
		at.serve(step.way, step.way)
		eventually(t, func() error {
			if said, err := g.Greet("Ada"); said != step.way+" Ada" || err != nil {
				return fmt.Errorf("the greeter says %q, %w", said, err)
			}
			return attached(d, step.speaks)
		})
		if step.pongs {
			eventually(t, ping)
		} else if _, err := p.Ping(); err == nil || !strings.Contains(err.Error(), `it speaks "grpc v2", not "netrpc v1"`) {
			t.Errorf("%s: the ponger gave %v", step.way, err)
		}
	}
}

// TestReplicasOfDifferentProtocols holds that a value is served by all replicas that
// can speak what it does, also by those that were attached before it was dispensed.
func TestReplicasOfDifferentProtocols(t *testing.T) {
	old, young := newPlace(t, rpcV1, "old"), newPlace(t, bothV1, "young")
	for range 30 {
		d, stop := start(t, oneVersion("greeter="+old.address+",greeter="+young.address))
		eventually(t, func() error {
			if p, _ := d.Plugin("greeter"); len(p.Endpoints) != 2 || p.Endpoints[0].Protocol == "" || p.Endpoints[1].Protocol == "" {
				return errors.New("not both are attached")
			}
			return nil
		})
		g, err := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter", commons.GreeterKind)
		if err != nil {
			t.Fatal(err)
		}
		var p daemon.Plugin
		keepsToGRPC := false
		eventually(t, func() error { // Until its sessions are made anew, nothing shows.
			p, _ = d.Plugin("greeter")
			keepsToGRPC = slices.ContainsFunc(p.Endpoints, func(e daemon.Endpoint) bool {
				return e.Address == old.address && len(e.UnreadyKinds) > 0
			})
			if keepsToGRPC {
				return nil
			}
			return attached(d, rpcV1)
		})
		if keepsToGRPC { // the pick took the young one: try again
			if said, err := g.Greet("Ada"); said != "young Ada" || err != nil || !p.Ready {
				t.Fatalf("ready %v, %q, %v", p.Ready, said, err)
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		old.close()
		eventually(t, func() error {
			if said, err := g.Greet("Ada"); said != "young Ada" || err != nil {
				return fmt.Errorf("%q, %w", said, err)
			}
			return nil
		})
		return
	}
	t.Error("the old replica was never dispensed from")
}

// TestDispenseBeforeAnEndpoint holds the same for a value that waited for its plugin,
// while another kind of it was dispensed.
func TestDispenseBeforeAnEndpoint(t *testing.T) {
	at := newPlace(t, rpcV1, "")
	at.close()
	d, _ := start(t, oneVersion("greeter="+at.address))
	type dispensed struct {
		commons.Greeter
		err error
	}
	got := make(chan dispensed, 1)
	go func() {
		g, err := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter", commons.GreeterKind)
		got <- dispensed{g, err}
	}()
	at.serve(rpcV1, "first")
	g := <-got
	if g.err != nil {
		t.Fatal(g.err)
	}
	at.serve(bothV1, "second")
	eventually(t, func() error {
		if said, err := g.Greet("Ada"); said != "second Ada" || err != nil {
			return fmt.Errorf("%q, %w", said, err)
		}
		return attached(d, rpcV1)
	})
}

// wayVariable makes the test's executable a plugin that serves in that way.
const wayVariable = "DAEMON_TEST_SERVES"

// TestChildOfAnotherProtocol puts executables in each other's place.
func TestChildOfAnotherProtocol(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	install := func(way string) {
		t.Helper()
		script := fmt.Sprintf("#!/bin/sh\n%s='%s' exec '%s'\n", wayVariable, way, self)
		made := filepath.Join(dir, "new")
		if err := os.WriteFile(made, []byte(script), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(made, filepath.Join(dir, "greeter.po")); err != nil {
			t.Fatal(err)
		}
	}
	install(pongV1)
	o := twoVersions("")
	o.PluginDir = dir
	d, _ := start(t, o)
	p, err := daemon.Dispense[commons.PingPonger](t.Context(), d, "greeter", commons.PingPongerKind)
	if err != nil {
		t.Fatal(err)
	}
	g, err := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter", commons.GreeterKind)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		way, speaks string
		pongs       bool
	}{{pongV1V2, "netrpc v1", true}, {greetV2, "grpc v2", false}, {pongV1, "netrpc v1", true}} {
		install(step.way)
		d.Refresh()
		eventually(t, func() error {
			if said, err := g.Greet("Ada"); said != step.way+" Ada" || err != nil {
				return fmt.Errorf("the greeter says %q, %w", said, err)
			}
			return attached(d, step.speaks)
		})
		_, err := p.Ping()
		if (err == nil) != step.pongs || err != nil && !strings.Contains(err.Error(), `it speaks "grpc v2", not "netrpc v1"`) {
			t.Errorf("%s: the ponger gave %v", step.way, err)
		}
	}
}

// TestSwitchFollowsTheLatest holds that the calls of a switch wait for what the
// plugin spoke last, and not for what it spoke once.
func TestSwitchFollowsTheLatest(t *testing.T) {
	at := newPlace(t, pongV1, "first")
	d, _ := start(t, twoVersions("greeter="+at.address))
	g, err := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter", commons.GreeterKind)
	if err != nil {
		t.Fatal(err)
	}
	at.serve(greetV2, "second")
	eventually(t, func() error {
		_, err := g.Greet("Ada")
		return err
	})
	at.close()
	eventually(t, func() error {
		if p, _ := d.Plugin("greeter"); p.Ready {
			return errors.New("the plugin is ready still")
		}
		return nil
	})
	said := make(chan string, 1)
	go func() {
		greeting, err := g.Greet("Ada")
		said <- fmt.Sprint(greeting, err)
	}()
	eventually(t, func() error {
		if p, _ := d.Plugin("greeter"); p.Waiting == 0 {
			return errors.New("the call does not wait yet")
		}
		return nil
	})
	at.serve(greetV2, "third")
	if got := <-said; got != "third Ada<nil>" {
		t.Errorf("the call that waited got %q", got)
	}
}
