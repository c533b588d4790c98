// SPDX-License-Identifier: MPL-2.0

package plugin_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

func TestGRPCHealthAndReflection(t *testing.T) {
	p := newGRPCPair(t, pairOptions{})
	if err := p.client.Ping(); err != nil {
		t.Errorf("Ping = %v", err)
	}
	stream, err := grpc_reflection_v1.NewServerReflectionClient(p.client.Conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	list := &grpc_reflection_v1.ServerReflectionRequest_ListServices{}
	if err := stream.Send(&grpc_reflection_v1.ServerReflectionRequest{MessageRequest: list}); err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, service := range answer.GetListServicesResponse().GetService() {
		got = append(got, service.GetName())
	}
	want := []string{
		"grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection",
		"plugin.GRPCBroker", "plugin.GRPCController", "plugin.GRPCStdio", "test.Relay",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	for _, name := range want[:len(want)-1] {
		if !grpcconn.IsSessionMethod("/" + name + "/Any") {
			t.Errorf("calls of %s are counted as the plugin's", name)
		}
	}
	for _, method := range []string{"/test.Relay/Hold", "/plugin.GRPCBrokerage/X", "", "/", "odd"} {
		if grpcconn.IsSessionMethod(method) {
			t.Errorf("calls of %q are not counted as the plugin's", method)
		}
	}
}

func TestGRPCDispense(t *testing.T) {
	p := newGRPCPair(t, pairOptions{})
	if _, err := p.client.Dispense("nothing"); err == nil || err.Error() != "unknown plugin type: nothing" {
		t.Errorf("Dispense(nothing) = %v", err)
	}
	p.client.Plugins["rpc"] = &echoPlugin{}
	if _, err := p.client.Dispense("rpc"); err == nil || !strings.Contains(err.Error(), `"rpc" doesn't support gRPC`) {
		t.Errorf("Dispense(rpc) = %v", err)
	}
	if got, err := p.stub.call(t.Context(), "Name", "!"); got != "plugin!" || err != nil {
		t.Errorf("call = %q, %v", got, err)
	}
}

// failingPlugin cannot be served.
type failingPlugin struct {
	plugin.NetRPCUnsupportedPlugin
	relay
}

func (failingPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return errEcho }

func (failingPlugin) Server(b *plugin.MuxBroker) (interface{}, error) { return nil, errEcho }

func TestGRPCServiceRefusesPlugins(t *testing.T) {
	cases := map[string]struct {
		reason string
		plugin plugin.Plugin
		want   string
	}{
		"net/rpc only": {"it has nothing to register", &echoPlugin{}, `"kind" is not a GRPC-compatible plugin`},
		"failing":      {"its own error says why", &failingPlugin{}, `error registering "kind": the plugin says no`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server := &plugin.GRPCServer{Plugins: plugin.PluginSet{"kind": tc.plugin}}
			if err := server.Init(); err == nil || err.Error() != tc.want {
				t.Errorf("%s: Init = %v, want %s", tc.reason, err, tc.want)
			}
		})
	}
}

func TestGRPCMessageSizes(t *testing.T) {
	big := strings.Repeat("m", 64<<20)
	p := newGRPCPair(t, pairOptions{service: func(cfg *grpcServing) {
		cfg.NewServer = func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(math.MaxInt32))...)
		}
	}})
	if got, err := p.stub.call(t.Context(), "Name", big); len(got) != len("plugin")+len(big) || err != nil {
		t.Errorf("64 MiB there and back: %d bytes, %v", len(got), err)
	}
	// A child that says nothing takes gRPC's 4 MiB, as it always did.
	p = newGRPCPair(t, pairOptions{})
	if _, err := p.stub.call(t.Context(), "Name", big[:5<<20]); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("5 MiB to a server with the default limit = %v, want ResourceExhausted", err)
	}
}

// A factory of the plugin's own may bring interceptors of every kind.
func TestGRPCFactoryWithInterceptors(t *testing.T) {
	var seen lockedBuffer
	note := func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		fmt.Fprintln(&seen, info.FullMethod)
		return next(ctx, req)
	}
	p := newGRPCPair(t, pairOptions{service: func(cfg *grpcServing) {
		cfg.NewServer = func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.UnaryInterceptor(note), grpc.ChainUnaryInterceptor(note))...)
		}
	}})
	go func() { _, _ = p.stub.call(t.Context(), "Hold", "") }()
	<-p.impl.held
	if n := p.service.InFlight(); n != 1 {
		t.Errorf("inFlight = %d, want 1", n)
	}
	if got, want := seen.String(), strings.Repeat("/test.Relay/Hold\n", 2); got != want {
		t.Errorf("interceptors saw %q, want %q", got, want)
	}
}

func TestGRPCShutdown(t *testing.T) {
	for _, multiplex := range []bool{false, true} {
		t.Run(fmt.Sprint("multiplex ", multiplex), func(t *testing.T) {
			client, server := plugin.TestPluginGRPCConn(t, multiplex, plugin.PluginSet{"relay": newRelay("child")})
			raw, err := client.Dispense("relay")
			if err != nil {
				t.Fatal(err)
			}
			stub := raw.(*relay)
			if got, err := stub.callback(t.Context(), "Via", "the host"); got != "the host" || err != nil {
				t.Errorf("callback reached %q, %v", got, err)
			}
			if err := client.Close(); err != nil {
				t.Errorf("Close = %v", err)
			}
			<-server.DoneCh
			if got, want := server.Config(), `{"stdout_addr":"","stderr_addr":""}`+"\n"; got != want {
				t.Errorf("Config = %q, want %q", got, want)
			}
		})
	}
}

func TestGRPCRemoteCloseOnlyDetaches(t *testing.T) {
	shutdown, detached := make(chan struct{}), false
	p := newGRPCPair(t, pairOptions{
		service: func(cfg *grpcServing) { cfg.OnShutdown = func() { close(shutdown) } },
		client:  func(cfg *plugin.GRPCClientConfig) { cfg.Detach = func() bool { detached = true; return false } },
	})
	if err := p.client.Close(); err != nil || !detached {
		t.Errorf("Close = %v, detached %v", err, detached)
	}
	other, err := plugin.NewGRPCClient(t, plugin.GRPCClientConfig{Conn: grpcconn.Config{Dial: p.dial}, Detach: noAsking})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.Ping(); err != nil {
		t.Errorf("the plugin does not serve the next host: %v", err)
	}
	select {
	case <-shutdown:
		t.Error("a host that only detaches sent Shutdown")
	default:
	}
	if _, err := pluginpb.NewGRPCControllerClient(other.Conn).Shutdown(t.Context(), &pluginpb.Empty{}); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	<-shutdown
}

func TestTestGRPCConn(t *testing.T) {
	conn, server := plugin.TestGRPCConn(t, func(s *grpc.Server) { s.RegisterService(relayDesc(), newRelay("test")) })
	defer server.Stop()
	defer conn.Close()
	if got, err := (&relay{conn: conn}).call(t.Context(), "Name", ""); got != "test" || err != nil {
		t.Errorf("call = %q, %v", got, err)
	}
}
