// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"fmt"
	"net"
	"net/rpc"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc/metadata"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/testkit"
)

// seen is an Around that notes each call, and the traceparent that it came with.
type seen struct {
	mu    sync.Mutex
	calls []string
}

func (s *seen) around(ctx context.Context, call plugin.ServedCall, run func(context.Context) error) {
	md, _ := metadata.FromIncomingContext(ctx)
	err := run(metadata.NewIncomingContext(ctx, metadata.Pairs("traceparent", "mine")))
	text := "ok"
	if err != nil {
		text = err.Error()
	}
	parent := ""
	if values := md.Get("traceparent"); len(values) > 0 {
		parent = values[0]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call.Protocol+" "+call.Kind+" "+call.Method+" "+parent+": "+text)
}

func (s *seen) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Around runs each call over net/rpc, with what the host sends along and without, and a
// method has the context that it gives.
func TestAround(t *testing.T) {
	for name, old := range map[string]bool{"network": false, "old host": true} {
		t.Run(name, func(t *testing.T) {
			s, p := &seen{}, newWaitPlugin()
			served := serveEcho(t, func(o *plugin.ServeConfig) {
				o.Plugins, o.Around = plugin.PluginSet{"wait": p}, s.around
			})
			var client *rpc.Client
			parent := "theirs"
			if old {
				parent = ""
				conn, err := net.Dial("tcp", served.addr.String())
				if err != nil {
					t.Fatal(err)
				}
				host, err := plugin.NewRPCClient(conn, plugin.PluginSet{"wait": p})
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				client = dispenseWaiter(t, host)
			} else {
				config := served.clientConfig()
				config.Plugins = plugin.PluginSet{"wait": p}
				session, err := plugin.Attach(t.Context(), config)
				if err != nil {
					t.Fatal(err)
				}
				defer session.Close()
				client = dispenseWaiter(t, session)
			}
			ctx := metadata.AppendToOutgoingContext(t.Context(), "traceparent", "theirs")
			var said Said
			if err := plugin.CallContext(ctx, client, "Plugin.Say", 0, &said); err != nil || said.Traceparent != "mine" {
				t.Errorf("the method was told %q, %v", said.Traceparent, err)
			}
			var twice int
			if err := plugin.CallContext(ctx, client, "Plugin.Twice", 3, &twice); err != nil || twice != 6 {
				t.Errorf("a method without a context: %d, %v", twice, err)
			}
			if err := plugin.CallContext(ctx, client, "Plugin.Nothing", 3, &twice); err == nil {
				t.Error("a method that there is not answers")
			}
			want := []string{
				"netrpc wait Plugin.Say " + parent + ": ok", "netrpc wait Plugin.Twice " + parent + ": ok",
				"netrpc wait Plugin.Nothing " + parent + ": rpc: can't find method Plugin.Nothing",
			}
			// An answer may be here before its Around has returned, and the next call with it.
			testkit.Eventually(t, "all calls are over", func() bool { return len(s.all()) == len(want) })
			got := slices.Sorted(slices.Values(s.all()))
			if slices.Sort(want); !slices.Equal(got, want) {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

// What a method calls back over gRPC carries what its Around has put into the context, and
// the host's Around runs it.
func TestAroundCallback(t *testing.T) {
	s := &seen{}
	shared := plugin.NewSharedBroker(rendezvous.Wait, nil)
	shared.Around = s.around
	defer shared.Close()
	impl := newRelay("plugin")
	p := serveEcho(t, func(o *plugin.ServeConfig) {
		o.Plugins, o.GRPCServer = plugin.PluginSet{"relay": impl}, plugin.DefaultGRPCServer
		o.Around = func(ctx context.Context, _ plugin.ServedCall, run func(context.Context) error) {
			_ = run(metadata.AppendToOutgoingContext(ctx, "traceparent", "the plugin's"))
		}
	})
	cfg := p.clientConfig()
	cfg.Plugins, cfg.Broker = plugin.PluginSet{"relay": impl}, shared
	cfg.AllowedProtocols = []plugin.Protocol{plugin.ProtocolGRPC}
	session, err := plugin.Attach(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	raw, err := session.Dispense("relay")
	if err != nil {
		t.Fatal(err)
	}
	broker := shared.GRPCBroker(func() *plugin.GRPCBroker { return nil })
	defer broker.Close()
	id := broker.NextId()
	go broker.AcceptAndServe(id, serveRelay("the host"))
	if name, err := raw.(*relay).call(t.Context(), "Via", fmt.Sprint(id)); err != nil || name != "the host" {
		t.Fatalf("got %q, %v", name, err)
	}
	testkit.Eventually(t, "the callback is over", func() bool { return len(s.all()) == 1 })
	if want := "grpc  /test.Relay/Name the plugin's: ok"; s.all()[0] != want {
		t.Errorf("got %q, want %q", s.all()[0], want)
	}
}
