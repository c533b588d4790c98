// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// A child's broker survives its host: the next one finds it working.
func TestBrokerNextHost(t *testing.T) {
	p := newGRPCPair(t, pairOptions{})
	if _, err := p.stub.callback(t.Context(), "Via", "first"); err != nil {
		t.Fatal(err)
	}
	if err := p.client.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := plugin.NewGRPCClient(t, plugin.GRPCClientConfig{
		Conn:    grpcconn.Config{Dial: p.dial},
		Plugins: plugin.PluginSet{"relay": &relay{}},
		Detach:  noAsking,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	raw, err := next.Dispense("relay")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := raw.(*relay).callback(t.Context(), "Via", "second"); got != "second" || err != nil {
		t.Errorf("callback of the next host reached %q, %v", got, err)
	}
	if got, err := raw.(*relay).opened(t.Context(), "!"); got != "plugin!" || err != nil {
		t.Errorf("call of the next host reached %q, %v", got, err)
	}
}

// Plugins in other languages need not have a broker, nor stdio.
func TestPluginWithoutOwnServices(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	server.RegisterService(relayDesc(), newRelay("bare"))
	var serving wait.Group
	serving.Go(func() { _ = server.Serve(lis) })
	defer serving.Wait()
	defer server.Stop()
	client, err := plugin.NewGRPCClient(t, plugin.GRPCClientConfig{
		Conn: grpcconn.Config{Dial: func(ctx context.Context) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", lis.Addr().String())
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if got, err := (&relay{conn: client.Conn}).call(t.Context(), "Name", ""); got != "bare" || err != nil {
		t.Errorf("call = %q, %v", got, err)
	}
	client.Broker().Run() // returns when the broker has learnt that it is alone
	start := time.Now()
	_, err = client.Broker().Dial(3)
	if err == nil || !strings.Contains(err.Error(), "the plugin has no broker") {
		t.Errorf("Dial = %v, want that there is no broker", err)
	}
	if waited := time.Since(start); waited > time.Second {
		t.Errorf("Dial waited %v for a broker that does not exist", waited)
	}
	if err := client.WatchDrain(t.Context()); status.Code(err) != codes.Unimplemented {
		t.Errorf("watchDrain = %v, want Unimplemented", err)
	}
}
