// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
	"github.com/reattach/reattach/host/daemon/daemontest/address"
	"github.com/reattach/reattach/host/discovery"
	"github.com/reattach/reattach/host/discovery/manual"
	"github.com/reattach/reattach/host/stub"
	"github.com/reattach/reattach/host/target"
	"github.com/reattach/reattach/test/kit"
)

const patience = 20 * time.Second

func TestMain(m *testing.M) {
	if way := os.Getenv(wayVariable); way != "" {
		plugin.Serve(&plugin.ServeConfig{
			HandshakeConfig: commons.Handshake(), VersionedPlugins: served(way, way),
			GRPCServer: plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger(),
		})
		return
	}
	goleak.VerifyTestMain(m)
}

// greeter is what the tests serve.
type greeter struct {
	greeting string
	err      error
	wait     <-chan struct{}
	calls    *atomic.Int64
}

func (g greeter) Greet(name string) (string, error) {
	if g.calls != nil {
		g.calls.Add(1)
	}
	if g.wait != nil {
		<-g.wait
	}
	return g.greeting + " " + name, g.err
}
func (g greeter) Hi(times int) (string, error) { return fmt.Sprint(g.greeting, times), g.err }

// serve serves a greeter on the network and gives its address. stop ends it.
func serve(t *testing.T, g greeter, versions map[int]plugin.PluginSet) (at string, stop func()) {
	t.Helper()
	lis, err := net.Listen("tcp", address.Hold(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	if versions == nil {
		versions = commons.Versions(plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: g}})
	}
	go func() {
		served <- plugin.ServeListener(ctx, lis, &plugin.ServeConfig{
			HandshakeConfig: commons.Handshake(), VersionedPlugins: versions,
			GRPCServer: plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger(),
			Network: &plugin.NetworkConfig{Name: "greeter", DrainTimeout: time.Second},
		})
	}()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			<-served
		}
	}
	t.Cleanup(stop)
	return lis.Addr().String(), stop
}

func options(list string) daemon.Options {
	o := daemon.DefaultOptions()
	o.Handshake, o.Versions = commons.Handshake(), commons.Versions
	o.Kinds = []daemon.Kind{
		daemon.NewKind[commons.Greeter](commons.GreeterKind, &commons.GreeterPlugin{}, daemon.WithParams("Greet", "name"),
			daemon.WithSwitch(commons.SwitchGreeter)),
		daemon.NewKind[commons.PingPonger](commons.PingPongerKind, &commons.PingPongerPlugin{},
			daemon.WithSwitch(commons.SwitchPingPonger)),
	}
	o.NetworkPlugins = list
	o.StopTimeout = 2 * time.Second
	return o
}

// start runs a daemon until the test ends, or stop is called.
func start(t *testing.T, o daemon.Options) (d *daemon.Daemon, stop func() error) {
	t.Helper()
	d, err := daemon.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	var done bool
	stop = func() error {
		if done {
			return nil
		}
		done = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return d, stop
}

func eventually(t *testing.T, condition func() error) {
	t.Helper()
	kit.Eventually(t, patience, condition)
}

// TestDispenseOnce holds that one value serves while endpoints come and go, over
// either protocol and from one to the other.
func TestDispenseOnce(t *testing.T) {
	set := plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: greeter{greeting: "old"}}}
	only := map[int]plugin.PluginSet{commons.VersionNetRPC: commons.NetRPC(set)}
	first, stopFirst := serve(t, greeter{}, only)
	source := manual.New("hand")
	at := func(address string) target.Group {
		return target.Group{Key: "g", Endpoints: []target.Endpoint{{
			ID: target.MakeID("greeter", address), Plugin: "greeter", Placement: target.Network, Address: address,
		}}}
	}
	o := options("")
	o.Sources = []discovery.Source{source}
	source.Update(at(first)) // before it runs: it would begin by saying that there is nothing
	d, _ := start(t, o)
	g, err := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter", commons.GreeterKind)
	if err != nil {
		t.Fatal(err)
	}
	again, err := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter", commons.GreeterKind)
	if err != nil || again != g {
		t.Errorf("dispensed again: %v, %v, want the same value", again, err)
	}
	if said, err := g.Greet("Ada"); said != "old Ada" || err != nil {
		t.Errorf("over net/rpc: %q, %v", said, err)
	}
	second, _ := serve(t, greeter{greeting: "new"}, nil)
	source.Update(at(second))
	stopFirst()
	eventually(t, func() error {
		if said, err := g.Greet("Ada"); said != "new Ada" || err != nil {
			return fmt.Errorf("after the move to gRPC: %q, %w", said, err)
		}
		return nil
	})
}

func TestDispenseMistakes(t *testing.T) {
	address, _ := serve(t, greeter{}, nil)
	d, _ := start(t, options("greeter="+address))
	_, unknownKind := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter", "singer")
	_, otherType := daemon.Dispense[commons.PingPonger](t.Context(), d, "greeter", commons.GreeterKind)
	_, unknownPlugin := daemon.Dispense[commons.Greeter](t.Context(), d, "nobody", commons.GreeterKind)
	_, notServed := daemon.Dispense[commons.PingPonger](t.Context(), d, "greeter", commons.PingPongerKind)
	for name, tc := range map[string]struct {
		err  error
		is   error
		want string
	}{
		"kind":       {unknownKind, daemon.ErrUnknown, "this host knows greeter, pingponger"},
		"type":       {otherType, nil, "the kind is a commons.Greeter, not a commons.PingPonger"},
		"plugin":     {unknownPlugin, daemon.ErrUnknown, "known are greeter"},
		"not served": {notServed, daemon.ErrNotServed, "plugin greeter serves greeter"},
	} {
		if tc.err == nil || tc.is != nil && !errors.Is(tc.err, tc.is) || !strings.Contains(tc.err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %v that says %q", name, tc.err, tc.is, tc.want)
		}
	}
}

func TestCall(t *testing.T) {
	address, _ := serve(t, greeter{greeting: "Hello"}, nil)
	sad, _ := serve(t, greeter{err: errors.New("boom")}, nil)
	o := options("greeter=" + address + ",sad=" + sad)
	d, _ := start(t, o)
	cases := map[string]struct {
		plugin, kind, method, args string
		want                       string
		err                        error
		text                       string
	}{
		"by position":    {plugin: "greeter", kind: "greeter", method: "Greet", args: `["Ada"]`, want: `"Hello Ada"`},
		"by name":        {plugin: "greeter", kind: "greeter", method: "Greet", args: `{"name":"Ada"}`, want: `"Hello Ada"`},
		"own error":      {plugin: "sad", kind: "greeter", method: "Greet", args: `["Ada"]`, text: "boom"},
		"arguments":      {plugin: "greeter", kind: "greeter", method: "Greet", args: `[]`, err: daemon.ErrArguments},
		"unknown plugin": {plugin: "nobody", kind: "greeter", method: "Greet", args: `["Ada"]`, err: daemon.ErrUnknown},
		"unknown kind":   {plugin: "greeter", kind: "singer", method: "Greet", args: `["Ada"]`, err: daemon.ErrUnknown},
		"unknown method": {plugin: "greeter", kind: "greeter", method: "Sing", args: `["Ada"]`, err: daemon.ErrUnknown},
		"not served":     {plugin: "greeter", kind: "pingponger", method: "Ping", err: daemon.ErrNotServed},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := d.Call(t.Context(), tc.plugin, tc.kind, tc.method, json.RawMessage(tc.args))
			if string(got) != tc.want || !errors.Is(err, tc.err) && tc.err != nil || tc.text != "" && (err == nil || err.Error() != tc.text) {
				t.Errorf("got %s, %v, want %s, %v %s", got, err, tc.want, tc.err, tc.text)
			}
			if tc.text != "" && stub.SourceOf(err) != stub.SourcePlugin {
				t.Errorf("%v is taken for an error of the %s", err, stub.SourceOf(err))
			}
		})
	}
}

// TestCallIsGivenUp holds that a caller may leave although the method cannot be told.
func TestCallIsGivenUp(t *testing.T) {
	wait := make(chan struct{})
	var calls atomic.Int64
	address, _ := serve(t, greeter{wait: wait, calls: &calls}, nil)
	d, _ := start(t, options("greeter="+address))
	defer close(wait)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() {
		_, err := d.Call(ctx, "greeter", "greeter", "Greet", json.RawMessage(`["Ada"]`))
		failed <- err
	}()
	eventually(t, func() error {
		if calls.Load() == 0 {
			return errors.New("the call has not arrived")
		}
		return nil
	})
	cancel()
	err := <-failed
	if f, ok := stub.Cause(err); !ok || !f.MayHaveRun || f.Source() != stub.SourceCaller || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that its caller gave it up and it may have run", err)
	}
}

// TestCallIsGivenUpBeforeItIsSent: a caller that leaves while there is no endpoint is told
// that the call has not run, and it never will.
func TestCallIsGivenUpBeforeItIsSent(t *testing.T) {
	address, stop := serve(t, greeter{}, nil)
	d, _ := start(t, options("greeter="+address))
	call := func(ctx context.Context, options ...daemon.CallOption) error {
		_, err := d.Call(ctx, "greeter", "greeter", "Greet", json.RawMessage(`["Ada"]`), options...)
		return err
	}
	if err := call(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop()
	eventually(t, func() error {
		if p, _ := d.Plugin("greeter"); p.Ready {
			return errors.New("the plugin is ready still")
		}
		return nil
	})
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	for name, ctx := range map[string]context.Context{"cancelled": cancelled, "late": late} {
		returned := make(chan struct{})
		err := call(ctx, daemon.WhenReturned(func() { close(returned) }))
		select {
		case <-returned:
		default:
			t.Errorf("%s: the call is under way still", name)
		}
		if f, ok := stub.Cause(err); !ok || f.MayHaveRun {
			t.Errorf("%s: got %v, want that it surely has not run", name, err)
		}
	}
}

// TestCallSaysWhyThereIsNoAnswer holds that the stub, which knows the endpoint and
// whether it had the call, is the one to say so.
func TestCallSaysWhyThereIsNoAnswer(t *testing.T) {
	wait := make(chan struct{})
	address, stop := serve(t, greeter{wait: wait}, nil)
	o := options("greeter=" + address)
	o.CallTimeout = time.Second
	d, _ := start(t, o)
	call := func() *stub.Fault {
		t.Helper()
		_, err := d.Call(t.Context(), "greeter", "greeter", "Greet", json.RawMessage(`["Ada"]`))
		fault, ok := stub.Cause(err)
		if !ok || stub.SourceOf(err) != stub.SourceNetwork {
			t.Fatalf("got %v, taken for an error of the %s", err, stub.SourceOf(err))
		}
		return fault
	}
	if f := call(); f.Reason != stub.ReasonTimeout || !f.MayHaveRun || f.Endpoint == "" {
		t.Errorf("a plugin that hangs gave %+v", f)
	}
	close(wait)
	stop()
	eventually(t, func() error {
		if p, _ := d.Plugin("greeter"); p.Ready {
			return errors.New("the plugin is ready still")
		}
		return nil
	})
	if f := call(); f.Reason != stub.ReasonUnavailable || f.MayHaveRun {
		t.Errorf("a plugin that is gone gave %+v", f)
	}
}

func TestHookAndEvents(t *testing.T) {
	address, stop := serve(t, greeter{greeting: "Hello"}, nil)
	greeted := make(chan string, 10)
	o := options("greeter=" + address)
	o.OnReady = func(ctx context.Context, d *daemon.Daemon, name string) {
		g, err := daemon.Dispense[commons.Greeter](ctx, d, name, commons.GreeterKind)
		if err != nil {
			t.Error(err)
			return
		}
		said, err := g.Greet(name)
		greeted <- fmt.Sprint(said, err)
	}
	d, stopDaemon := start(t, o)
	events := d.Subscribe(100)
	defer events.Close()
	select {
	case got := <-greeted:
		if got != "Hello greeter<nil>" {
			t.Errorf("the hook got %q", got)
		}
	case <-time.After(patience):
		t.Fatal("the hook was not called")
	}
	stop()
	for e := range events.C() {
		if e.Type == "plugin-unready" && e.Plugin == "greeter" {
			break
		}
	}
	if err := stopDaemon(); err != nil {
		t.Error(err)
	}
	if len(greeted) > 0 {
		t.Errorf("the hook was called again: %q", <-greeted)
	}
	if _, open := <-d.Subscribe(1).C(); open {
		t.Error("a subscription outlived the daemon")
	}
}

func TestMissing(t *testing.T) {
	address, stop := serve(t, greeter{}, nil)
	o := options("greeter=" + address + ",optional=127.0.0.1:1")
	o.Required = []string{"greeter", "ghost"}
	d, _ := start(t, o)
	eventually(t, func() error {
		if diff := cmp.Diff([]string{"plugin ghost: it has no endpoint"}, d.Missing()); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
	stop()
	eventually(t, func() error {
		missing := d.Missing()
		if len(missing) != 2 || !strings.Contains(missing[1], "plugin greeter: no endpoint is ready") {
			return fmt.Errorf("missing: %q", missing)
		}
		return nil
	})
}

// TestShutdown holds that calls in flight finish, and that a hook sees the end.
func TestShutdown(t *testing.T) {
	wait := make(chan struct{})
	var calls atomic.Int64
	address, _ := serve(t, greeter{greeting: "late", wait: wait, calls: &calls}, nil)
	o := options("greeter=" + address)
	ended := make(chan struct{})
	o.OnReady = func(ctx context.Context, _ *daemon.Daemon, _ string) {
		<-ctx.Done()
		close(ended)
	}
	d, stop := start(t, o)
	g, err := daemon.Dispense[commons.Greeter](t.Context(), d, "greeter", commons.GreeterKind)
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan string, 1)
	go func() {
		said, err := g.Greet("Ada")
		answered <- fmt.Sprint(said, err)
	}()
	eventually(t, func() error {
		if calls.Load() == 0 {
			return errors.New("the call has not arrived")
		}
		return nil
	})
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	<-ended
	close(wait)
	if got := <-answered; got != "late Ada<nil>" {
		t.Errorf("the call in flight got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if said, err := g.Greet("Ada"); err == nil || stub.SourceOf(err) == stub.SourcePlugin {
		t.Errorf("after the end: %q, %v", said, err)
	}
	if err := d.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "before") {
		t.Errorf("a second Run gave %v", err)
	}
}
