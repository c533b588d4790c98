// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/sniff"
)

// streamLog is which streams a plugin's hosts have opened.
type streamLog struct {
	mu     sync.Mutex
	opened []string
}

func (l *streamLog) server(opts []grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append(opts, grpc.ChainStreamInterceptor(
		func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			l.mu.Lock()
			l.opened = append(l.opened, info.FullMethod)
			l.mu.Unlock()
			return next(srv, stream)
		}))...)
}

func (l *streamLog) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.opened)
}

// attachedRelay serves a gRPC plugin on the network and attaches a host. change
// may be nil.
func attachedRelay(t *testing.T, change func(*plugin.ClientConfig)) (*servedPlugin, *plugin.Session, *relay, *streamLog) {
	t.Helper()
	impl, streams := newRelay("plugin"), new(streamLog)
	p := serveEcho(t, func(o *plugin.ServeConfig) {
		o.Plugins, o.GRPCServer = plugin.PluginSet{"relay": impl}, streams.server
	})
	cfg := p.clientConfig()
	cfg.Plugins, cfg.AllowedProtocols = plugin.PluginSet{"relay": impl}, []plugin.Protocol{plugin.ProtocolGRPC}
	if change != nil {
		change(cfg)
	}
	session, err := plugin.Attach(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = session.Close() })
	raw, err := session.Dispense("relay")
	if err != nil {
		t.Fatal(err)
	}
	stub := raw.(*relay)
	stub.held, stub.gate = impl.held, impl.gate
	return p, session, stub, streams
}

func TestGRPCSessionHasNoStandingStreams(t *testing.T) {
	_, session, stub, streams := attachedRelay(t, nil)
	if _, err := stub.call(t.Context(), "Name", ""); err != nil {
		t.Fatal(err)
	}
	if text, err := stub.opened(t.Context(), " itself"); text != "plugin itself" || err != nil {
		t.Errorf("an id that the plugin accepts = %q, %v", text, err)
	}
	if err := session.Ping(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if text, err := stub.callback(t.Context(), "Via", "the host"); text != "the host" || err != nil {
			t.Fatalf("callback = %q, %v", text, err)
		}
	}
	if opened := streams.list(); len(opened) > 0 {
		t.Errorf("the session has opened gRPC streams: %v", opened)
	}
}

func TestSharedBrokerOfAttachedHosts(t *testing.T) {
	shared := plugin.NewSharedBroker(rendezvous.Wait, nil)
	defer shared.Close()
	_, _, before, _ := attachedRelay(t, func(cfg *plugin.ClientConfig) { cfg.Broker = shared })
	broker := shared.GRPCBroker(func() *plugin.GRPCBroker { return nil })
	id := broker.NextId()
	server := grpc.NewServer()
	defer server.Stop()
	server.RegisterService(relayDesc(), newRelay("the host"))
	lis, err := broker.Accept(id)
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(lis)
	// One that joins later learns of what is accepted already.
	_, _, after, _ := attachedRelay(t, func(cfg *plugin.ClientConfig) { cfg.Broker = shared })
	for name, stub := range map[string]*relay{"before": before, "after": after} {
		if text, err := stub.call(t.Context(), "Via", fmt.Sprint(id)); text != "the host" || err != nil {
			t.Errorf("callback from a session that joined %s = %q, %v", name, text, err)
		}
	}
}

func TestNoOutputIsKeptForNobody(t *testing.T) {
	_, session, _, streams := attachedRelay(t, nil)
	conn, _ := session.ClientConn()
	if len(streams.list()) != 0 {
		t.Errorf("streams %v", streams.list())
	}
	stream, err := pluginpb.NewGRPCStdioClient(conn).StreamStdio(t.Context(), &emptypb.Empty{})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("output for a host that asked for none: %v", err)
	}
}

// A host of another library may shake hands and not know mux: it watches.
func TestHostThatWatches(t *testing.T) {
	p, _, kept, _ := attachedRelay(t, nil)
	conn, err := net.Dial("tcp", p.addr.String())
	if err != nil {
		t.Fatal(err)
	}
	request := plugin.HelloRequest(p.clientConfig())
	request.Protocols = []string{string(plugin.ProtocolGRPC)}
	request.Features = []string{hello.FeatureGoAway}
	if err := hello.WriteRequest(conn, request); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	answer, err := hello.ReadAnswer(r)
	if err != nil || !slices.Equal(answer.Features, request.Features) {
		t.Fatalf("answer %+v, %v", answer, err)
	}
	client, err := plugin.NewGRPCClient(t, plugin.GRPCClientConfig{
		Conn:    grpcconn.Config{Dial: grpcconn.DialOnce(sniff.NewConn(conn, r))},
		Plugins: plugin.PluginSet{"relay": newRelay("")},
		Detach:  noAsking,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	raw, err := client.Dispense("relay")
	if err != nil {
		t.Fatal(err)
	}
	release := hold(kept, raw.(*relay)) // the session must not end before the watch begins
	if text, err := raw.(*relay).callback(t.Context(), "Via", "the host"); text != "the host" || err != nil {
		t.Errorf("callback = %q, %v", text, err)
	}
	watch, err := grpc_health_v1.NewHealthClient(client.Conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil { // It is well, and the watch has begun.
		t.Fatal(err)
	}
	p.stop()
	if health, err := watch.Recv(); err != nil || health.GetStatus() != grpc_health_v1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("the watch says %v, %v", health, err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}
