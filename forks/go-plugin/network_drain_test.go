// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"net/rpc"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
	"github.com/hashicorp/go-plugin/internal/testkit"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// ended returns what ServeListener did, and leaves nothing to the cleanup.
func (p *servedPlugin) ended(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.done:
		p.done <- nil
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("ServeListener does not return")
		return nil
	}
}

// servedRelay serves a gRPC plugin, and connects to it like any gRPC client.
func servedRelay(t *testing.T, drain time.Duration) (*servedPlugin, *relay) {
	t.Helper()
	impl := newRelay("plugin")
	p := serveEcho(t, func(o *plugin.ServeConfig) {
		o.Plugins, o.GRPCServer, o.Network.DrainTimeout = plugin.PluginSet{"relay": impl}, plugin.DefaultGRPCServer, drain
	})
	conn, err := grpc.NewClient(p.addr.String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return p, &relay{conn: conn, held: impl.held, gate: impl.gate}
}

// openerPlugin serves an echo on a brokered id when it is asked to.
type openerPlugin struct {
	echoPlugin
	broker *plugin.MuxBroker
}

func (p *openerPlugin) Server(b *plugin.MuxBroker) (interface{}, error) {
	return &openerPlugin{p.echoPlugin, b}, nil
}

func (p *openerPlugin) Client(b *plugin.MuxBroker, c *rpc.Client) (interface{}, error) {
	return &echoClient{client: c, broker: b}, nil
}

func (p *openerPlugin) Open(_ struct{}, id *uint32) error {
	*id = p.broker.NextId()
	go p.broker.AcceptAndServe(*id, &echoServer{impl: p.impl})
	return nil
}

func TestDrainFinishesBrokeredCalls(t *testing.T) {
	impl := newEchoImpl()
	p := serveEcho(t, func(o *plugin.ServeConfig) {
		o.Plugins = plugin.PluginSet{"echo": &openerPlugin{echoPlugin: echoPlugin{impl}}}
	})
	session := p.attach(t)
	main := dispenseEcho(t, session).(*echoClient)
	var id uint32
	if err := main.client.Call("Plugin.Open", struct{}{}, &id); err != nil {
		t.Fatal(err)
	}
	conn, err := main.broker.Dial(id)
	if err != nil {
		t.Fatal(err)
	}
	brokered := &echoClient{client: rpc.NewClient(conn)}
	defer brokered.client.Close()
	held := make(chan error, 1)
	go func() {
		_, err := brokered.Hold()
		held <- err
	}()
	<-impl.held
	p.stop()
	<-session.Draining()
	select {
	case err := <-p.done:
		p.done <- nil
		t.Errorf("drained with %v while a brokered call was in flight", err)
	case <-time.After(2 * plugin.DrainQuiet):
	}
	close(impl.gate)
	if err := <-held; err != nil {
		t.Errorf("brokered call in flight: %v", err)
	}
}

// A client that never pauses is sent elsewhere, not waited for.
func TestDrainOfBusyClient(t *testing.T) {
	p, stub := servedRelay(t, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	var calling wait.Group
	defer calling.Wait()
	defer cancel()
	var calls atomic.Int64
	for range 4 {
		calling.Go(func() {
			for {
				if _, err := stub.call(ctx, "Name", ""); err != nil {
					return
				}
				calls.Add(1)
			}
		})
	}
	testkit.Eventually(t, "the client is busy", func() bool { return calls.Load() > 100 })
	p.stop()
	if err := p.ended(t); err != nil {
		t.Errorf("ServeListener = %v", err)
	}
}

// Calls that notice the end of their connection are cut off all the same.
func TestDrainCountsWhatItCutsOff(t *testing.T) {
	p, stub := servedRelay(t, 50*time.Millisecond)
	failed := make(chan error, 1)
	go func() {
		_, err := stub.call(t.Context(), "Hold", "")
		failed <- err
	}()
	<-stub.held
	p.stop()
	if err := p.ended(t); err == nil || !strings.Contains(err.Error(), "1 calls did not finish") {
		t.Errorf("ServeListener = %v, want one call cut off", err)
	}
	if err := <-failed; err == nil {
		t.Error("the call was answered, so the test showed nothing")
	}
}

// A log in JSON is read by people as well: a time has its unit.
func TestDrainLogsItsTimeout(t *testing.T) {
	log := &logLines{}
	p := serveEcho(t, func(o *plugin.ServeConfig) {
		o.Logger = hclog.New(&hclog.LoggerOptions{Output: log, JSONFormat: true})
		o.Network.DrainTimeout = 25 * time.Second
	})
	p.stop()
	if err := p.ended(t); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), `"timeout":"25s"`) {
		t.Errorf("the log does not say 25s:\n%s", log)
	}
}

// endless is output that nobody can read to its end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestDrainOfHostThatReadsNoOutput(t *testing.T) {
	t.Parallel() // It takes stdio.FlushTimeout.
	output := stdio.NewSource(endless{}, nil, nil)
	defer output.Close()
	p := newGRPCPair(t, pairOptions{service: func(cfg *grpcServing) { cfg.Output = grpcstdio.NewSender(output.Subscribe) }})
	stream, err := pluginpb.NewGRPCStdioClient(p.client.Conn).StreamStdio(t.Context(), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	p.service.GracefulStop(ctx)
	if ctx.Err() != nil {
		t.Error("the drain waited for a host that reads no output")
	}
}

// stuckPlugin does not return from Server once it was told to.
type stuckPlugin struct {
	echoPlugin
	stuck          atomic.Bool
	entered, leave chan struct{}
}

func (p *stuckPlugin) Server(b *plugin.MuxBroker) (interface{}, error) {
	if p.stuck.Load() {
		close(p.entered)
		<-p.leave
	}
	return p.echoPlugin.Server(b)
}

func TestDrainIsNotHeldByPluginThatBlocks(t *testing.T) {
	t.Parallel() // It takes stdio.FlushTimeout.
	stuck := &stuckPlugin{echoPlugin: echoPlugin{newEchoImpl()}, entered: make(chan struct{}), leave: make(chan struct{})}
	defer close(stuck.leave)
	p := serveEcho(t, func(o *plugin.ServeConfig) { o.Plugins = plugin.PluginSet{"echo": stuck} })
	session := p.attach(t)
	stuck.stuck.Store(true)
	go func() { _, _ = session.Dispense("echo") }()
	<-stuck.entered
	p.stop()
	if err := p.ended(t); err == nil || !strings.Contains(err.Error(), "does not return") {
		t.Errorf("ServeListener = %v, want to be told what blocks", err)
	}
}

// panickyRelay panics in GRPCServer once it was told to.
type panickyRelay struct {
	*relay
	panics atomic.Bool
}

func (p *panickyRelay) GRPCServer(b *plugin.GRPCBroker, s *grpc.Server) error {
	if p.panics.Load() {
		panic("out of ideas")
	}
	return p.relay.GRPCServer(b, s)
}

func TestPanicInGRPCServerEndsNoSession(t *testing.T) {
	var log lockedBuffer
	impl := &panickyRelay{relay: newRelay("plugin")}
	p := serveEcho(t, func(o *plugin.ServeConfig) {
		o.Plugins, o.GRPCServer = plugin.PluginSet{"relay": impl}, plugin.DefaultGRPCServer
		o.Logger = hclog.New(&hclog.LoggerOptions{Output: &log})
	})
	cfg := p.clientConfig()
	cfg.Plugins, cfg.AllowedProtocols = plugin.PluginSet{"relay": &relay{}}, []plugin.Protocol{plugin.ProtocolGRPC}
	first, err := plugin.Attach(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	raw, err := first.Dispense("relay")
	if err != nil {
		t.Fatal(err)
	}
	stub := raw.(*relay)
	if _, err := stub.call(t.Context(), "Name", ""); err != nil {
		t.Fatal(err)
	}
	impl.panics.Store(true)
	second, err := plugin.Attach(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if raw, err = second.Dispense("relay"); err != nil {
		t.Fatal(err)
	}
	if _, err := raw.(*relay).call(t.Context(), "Name", ""); err != nil {
		t.Errorf("the second host: %v", err)
	}
	_ = second.Close()
	if _, err := stub.call(t.Context(), "Name", ""); err != nil {
		t.Errorf("another host: %v", err)
	}
	for _, want := range []string{"out of ideas", "GRPCServer(", "all hosts share"} {
		testkit.Eventually(t, "the log has "+want, func() bool { return strings.Contains(log.String(), want) })
	}
}
