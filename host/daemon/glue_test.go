// SPDX-License-Identifier: MPL-2.0

package daemon_test

import (
	"context"
	"net"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/commons"
	"github.com/reattach/reattach/host/daemon"
)

type ponger struct{}

func (ponger) Ping() (string, error) { return "pong!", nil }

// nosyGlue is a kind whose glue uses another kind while its own stub is being made.
type nosyGlue struct {
	commons.GreeterPlugin
	ask *func() error
}

func (g *nosyGlue) GRPCClient(ctx context.Context, b *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	if err := (*g.ask)(); err != nil {
		return nil, err
	}
	return g.GreeterPlugin.GRPCClient(ctx, b, c)
}

// TestGlueMayUseTheDaemon holds that a glue, which is its author's code, may dispense
// and call while the daemon makes a stub of it.
func TestGlueMayUseTheDaemon(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() {
		served <- plugin.ServeListener(ctx, lis, &plugin.ServeConfig{
			HandshakeConfig: commons.Handshake(), GRPCServer: plugin.DefaultGRPCServer, Logger: hclog.NewNullLogger(),
			VersionedPlugins: commons.Versions(plugin.PluginSet{
				commons.GreeterKind:    &commons.GreeterPlugin{Impl: greeter{greeting: "hello"}},
				commons.PingPongerKind: &commons.PingPongerPlugin{Impl: ponger{}},
			}),
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-served
	})

	var ask func() error
	o := options("both=" + lis.Addr().String())
	o.Kinds[0] = daemon.NewKind[commons.Greeter](commons.GreeterKind, &nosyGlue{ask: &ask},
		daemon.WithSwitch(commons.SwitchGreeter))
	d, err := daemon.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ask = func() error {
		pinger, err := daemon.Dispense[commons.PingPonger](t.Context(), d, "both", commons.PingPongerKind)
		if err != nil {
			return err
		}
		_, err = pinger.Ping()
		return err
	}
	run, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(run) }()
	g, err := daemon.Dispense[commons.Greeter](t.Context(), d, "both", commons.GreeterKind)
	if err != nil {
		t.Fatal(err)
	}
	if said, err := g.Greet("Ada"); said != "hello Ada" || err != nil {
		t.Errorf("Greet = %q, %v", said, err)
	}
	if again, err := daemon.Dispense[commons.Greeter](t.Context(), d, "both", commons.GreeterKind); again != g || err != nil {
		t.Errorf("dispensed again: %v, %v, want the same value", again, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
