// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"errors"
	"net"
	"net/rpc"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/hello"
)

// waitPlugin serves a method that heeds its context.
type waitPlugin struct{ server *waitServer }

func newWaitPlugin() *waitPlugin {
	return &waitPlugin{&waitServer{running: make(chan struct{}, 1), ended: make(chan error, 1)}}
}

func (p *waitPlugin) Server(*plugin.MuxBroker) (any, error) {
	return plugin.ContextReceiver(p.server), nil
}

func (*waitPlugin) Client(b *plugin.MuxBroker, c *rpc.Client) (any, error) { return c, nil }

type waitServer struct {
	running chan struct{}
	ended   chan error
}

// Wait returns when its context has ended.
func (s *waitServer) Wait(ctx context.Context, _ int, _ *int) error {
	s.running <- struct{}{}
	<-ctx.Done()
	s.ended <- context.Cause(ctx)
	return ctx.Err()
}

// Said is what a context said.
type Said struct {
	Traceparent string
	Left        time.Duration
}

// Say answers what its context says.
func (*waitServer) Say(ctx context.Context, _ int, said *Said) error {
	if deadline, ok := ctx.Deadline(); ok {
		said.Left = time.Until(deadline)
	}
	md, _ := metadata.FromIncomingContext(ctx)
	said.Traceparent = strings.Join(md.Get("traceparent"), ",")
	return nil
}

// Twice is a method in the form of net/rpc.
func (*waitServer) Twice(n int, twice *int) error {
	*twice = 2 * n
	return nil
}

// hostOfWaiter is one end of a session; close ends it.
type hostOfWaiter func(t *testing.T, p *waitPlugin) (client *rpc.Client, close func() error)

func dispenseWaiter(t *testing.T, from interface{ Dispense(string) (any, error) }) *rpc.Client {
	t.Helper()
	client, err := from.Dispense("wait")
	if err != nil {
		t.Fatal(err)
	}
	return client.(*rpc.Client)
}

func serveWaiter(t *testing.T, p *waitPlugin) *servedPlugin {
	return serveEcho(t, func(o *plugin.ServeConfig) { o.Plugins = plugin.PluginSet{"wait": p} })
}

func attachToWaiter(t *testing.T, p *waitPlugin) (*rpc.Client, func() error) {
	config := serveWaiter(t, p).clientConfig()
	config.Plugins = plugin.PluginSet{"wait": p}
	session, err := plugin.Attach(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if features := session.Info().Features; !slices.Contains(features, hello.FeatureMux) {
		t.Errorf("the session has the features %v", features)
	}
	return dispenseWaiter(t, session), session.Close
}

// oldHostOfWaiter knows no handshake, as one of the original library.
func oldHostOfWaiter(t *testing.T, p *waitPlugin) (*rpc.Client, func() error) {
	conn, err := net.Dial("tcp", serveWaiter(t, p).addr.String())
	if err != nil {
		t.Fatal(err)
	}
	host, err := plugin.NewRPCClient(conn, plugin.PluginSet{"wait": p})
	if err != nil {
		t.Fatal(err)
	}
	return dispenseWaiter(t, host), conn.Close
}

func hostOfWaitingChild(t *testing.T, p *waitPlugin) (*rpc.Client, func() error) {
	host, _ := plugin.TestPluginRPCConn(t, plugin.PluginSet{"wait": p}, nil)
	return dispenseWaiter(t, host), host.Close
}

// A method may take a context however its host is connected, and the context ends with
// the session.
func TestContextReceiver(t *testing.T) {
	for name, host := range map[string]hostOfWaiter{
		"network":      attachToWaiter,
		"old host":     oldHostOfWaiter,
		"child's host": hostOfWaitingChild,
	} {
		t.Run(name, func(t *testing.T) {
			p := newWaitPlugin()
			client, end := host(t, p)
			var twice int
			if err := client.Call("Plugin.Twice", 4, &twice); err != nil || twice != 8 {
				t.Errorf("a method without a context: %d, %v", twice, err)
			}
			client.Go("Plugin.Wait", 0, new(int), nil)
			<-p.server.running
			if err := end(); err != nil {
				t.Error(err)
			}
			if err := <-p.server.ended; !errors.Is(err, plugin.ErrConnectionLost) {
				t.Errorf("the context's cause is %v", err)
			}
		})
	}
}

// A host is told of these methods as of any others.
func TestContextMethodsAreListed(t *testing.T) {
	p := newWaitPlugin()
	config := serveWaiter(t, p).clientConfig()
	config.Plugins = plugin.PluginSet{"wait": p}
	session, err := plugin.Attach(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	want := []hello.Method{{Name: "Say", Args: "int", Reply: "plugin_test.Said"}, {Name: "Twice", Args: "int", Reply: "int"}, {Name: "Wait", Args: "int", Reply: "int"}}
	if got := session.Info().Kinds[0].Methods; !slices.Equal(got, want) {
		t.Errorf("the methods are %v, want %v", got, want)
	}
}
