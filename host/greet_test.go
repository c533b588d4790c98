// SPDX-License-Identifier: MPL-2.0

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type speaker struct{}

func (speaker) Greet(name string) (string, error) { return "Hello " + name, nil }
func (speaker) Hi(times int) (string, error)      { return fmt.Sprint(times), nil }
func (speaker) Ping() (string, error)             { return "pong!", nil }

// changedGreeter has another idea of what Greet takes.
type changedGreeter struct{ plugin.NetRPCUnsupportedPlugin }

func (changedGreeter) Server(*plugin.MuxBroker) (any, error) { return changedServer{}, nil }

type changedServer struct{}

func (changedServer) Greet(_ string, _ *string) error           { return nil }
func (changedServer) Hi(_ map[string]interface{}, _ *int) error { return nil }

// serve serves a set until the test ends.
func serve(t *testing.T, versions map[int]plugin.PluginSet) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- plugin.ServeListener(ctx, lis, &plugin.ServeConfig{
			HandshakeConfig: commons.Handshake(), VersionedPlugins: versions, GRPCServer: plugin.DefaultGRPCServer,
			Logger: hclog.NewNullLogger(), Network: &plugin.NetworkConfig{Name: "p", DrainTimeout: time.Second},
		})
	}()
	t.Cleanup(func() { cancel(); <-served })
	return lis.Addr().String()
}

// TestGreet greets plugins of either protocol, one that serves a part, and one whose
// contract has changed, which is told before anybody calls it.
func TestGreet(t *testing.T) {
	full := commons.Versions(plugin.PluginSet{
		commons.GreeterKind:    &commons.GreeterPlugin{Impl: speaker{}},
		commons.PingPongerKind: &commons.PingPongerPlugin{Impl: speaker{}},
	})
	greeter := plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: speaker{}}}
	var said bytes.Buffer
	done := make(chan string, 10)
	o := daemon.DefaultOptions()
	o.Handshake, o.Versions, o.Kinds = commons.Handshake(), commons.Versions, kinds()
	o.NetworkPlugins = fmt.Sprintf("grpc=%s,netrpc=%s,part=%s,changed=%s",
		serve(t, full),
		serve(t, map[int]plugin.PluginSet{commons.VersionNetRPC: full[commons.VersionNetRPC]}),
		serve(t, commons.Versions(greeter)),
		serve(t, map[int]plugin.PluginSet{commons.VersionNetRPC: {commons.GreeterKind: changedGreeter{}}}))
	var one sync.Mutex
	o.OnReady = func(ctx context.Context, d *daemon.Daemon, name string) {
		one.Lock()
		defer one.Unlock()
		if name != "changed" {
			var answers bytes.Buffer
			if err := (&greeted{Name: "Ada"}).greet(ctx, d, name, &answers); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			for line := range strings.Lines(answers.String()) {
				fmt.Fprintf(&said, "%s  %s", name, line)
			}
		}
		done <- name
	}
	d, err := daemon.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	for range 4 {
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Fatalf("not all were greeted: %s", said.String())
		}
	}
	warnings := map[string]string{}
	for _, p := range d.Plugins() {
		warnings[p.Name] = p.Endpoints[0].Warning
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	slices.Sort(lines)
	want := []string{
		"grpc  greet: Hello Ada", "grpc  hi: 2", "grpc  ping: pong!",
		"netrpc  greet: Hello Ada", "netrpc  hi: 2", "netrpc  ping: pong!",
		"part  greet: Hello Ada", "part  hi: 2", "part  pingponger: not served",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	differs := map[string]string{
		"grpc": "", "netrpc": "", "part": "",
		"changed": "kind greeter differs from this host's interface: Greet takes string, not map[string]interface {}; Hi answers int, not string",
	}
	if diff := cmp.Diff(differs, warnings); diff != "" {
		t.Errorf("warnings (-want +got)\n%s", diff)
	}
}

// loud answers with more than anybody can read.
type loud struct{ speaker }

func (loud) Greet(string) (string, error) { return strings.Repeat("\x01", 8<<20), nil }

// TestGreetIsShort holds that an answer is cut before it is made visible, which may make
// four times as much of it.
func TestGreetIsShort(t *testing.T) {
	o := daemon.DefaultOptions()
	o.Handshake, o.Versions, o.Kinds = commons.Handshake(), commons.Versions, kinds()
	o.NetworkPlugins = "loud=" + serve(t, commons.Versions(plugin.PluginSet{commons.GreeterKind: &commons.GreeterPlugin{Impl: loud{}}}))
	said := make(chan string, 1)
	o.OnReady = func(ctx context.Context, d *daemon.Daemon, name string) {
		var answers bytes.Buffer
		if err := (&greeted{Name: "Ada"}).greet(ctx, d, name, &answers); err != nil {
			t.Error(err)
		}
		said <- answers.String()
	}
	d, err := daemon.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	got := <-said
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if len(got) > 8<<10 || !strings.HasPrefix(got, `greet: \x01\x01`) || !strings.Contains(got, "… (cut)\nhi: 2\n") {
		t.Errorf("%d bytes are written: %.100q", len(got), got)
	}
}
