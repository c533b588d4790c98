// SPDX-License-Identifier: MPL-2.0

package tracing

import (
	"context"
	"fmt"
	"net"
	"net/rpc"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/metadata"
)

// kind serves a method that tells the incoming metadata it has.
type kind struct{}

func (kind) Server(*plugin.MuxBroker) (any, error)                  { return plugin.ContextReceiver(server{}), nil }
func (kind) Client(_ *plugin.MuxBroker, c *rpc.Client) (any, error) { return c, nil }

type server struct{}

// Told answers which keys have come.
func (server) Told(ctx context.Context, key string, values *[]string) error {
	md, _ := metadata.FromIncomingContext(ctx)
	*values = md.Get(key)
	return nil
}

// TestRoom holds that a call whose metadata are at a bound is none that fails for its
// traceparent: it goes with as much of the trace as there is room for.
func TestRoom(t *testing.T) {
	client := attach(t)
	pairs := func(n, size int) metadata.MD {
		md := make(metadata.MD)
		for i := range n {
			md.Set(fmt.Sprintf("key-%02d", i), strings.Repeat("x", size))
		}
		return md
	}
	ctx, span := trace.NewTracerProvider().Tracer("").Start(t.Context(), "a call")
	defer span.End()
	member, err := baggage.NewMember("of", "the-caller")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx = baggage.ContextWithBaggage(ctx, bag)
	bytes := (16<<10)/64 - len("key-00") - 3 // of a value, so that 64 of them are all that fits
	for name, test := range map[string]struct {
		md              metadata.MD
		parent, baggage bool
	}{
		"empty":         {nil, true, true},
		"room for two":  {pairs(62, 1), true, true},
		"room for one":  {pairs(63, 1), true, false},
		"none":          {pairs(64, 1), false, false},
		"no bytes left": {pairs(63, bytes+4), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			call := ToMetadata(metadata.NewOutgoingContext(ctx, test.md))
			for key, want := range map[string]bool{"traceparent": test.parent, "baggage": test.baggage, "key-00": test.md != nil} {
				var values []string
				if err := plugin.CallContext(call, client, "Plugin.Told", key, &values); err != nil {
					t.Fatal(err)
				}
				if (len(values) == 1) != want {
					t.Errorf("%s arrives as %q", key, values)
				}
			}
		})
	}
	beyond := ToMetadata(metadata.NewOutgoingContext(ctx, pairs(65, 1)))
	if md, _ := metadata.FromOutgoingContext(beyond); len(md.Get("traceparent")) != 1 {
		t.Error("metadata that are beyond the bound already, as gRPC may have them, lack the span")
	}
	if err := plugin.CallContext(beyond, client, "Plugin.Told", "x", new([]string)); err == nil {
		t.Error("the bound is another one now")
	}
}

// attach gives a client of a plugin that has a session of its own.
func attach(t *testing.T) *rpc.Client {
	t.Helper()
	handshake := plugin.HandshakeConfig{ProtocolVersion: 1, MagicCookieKey: "TRACED", MagicCookieValue: "yes"}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- plugin.ServeListener(ctx, lis, &plugin.ServeConfig{HandshakeConfig: handshake, Plugins: plugin.PluginSet{"k": kind{}}, Logger: hclog.NewNullLogger()})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	session, err := plugin.Attach(t.Context(), &plugin.ClientConfig{
		HandshakeConfig: handshake, Plugins: plugin.PluginSet{"k": kind{}},
		Reattach: &plugin.ReattachConfig{Addr: lis.Addr()}, Logger: hclog.NewNullLogger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	client, err := session.Dispense("k")
	if err != nil {
		t.Fatal(err)
	}
	return client.(*rpc.Client)
}
