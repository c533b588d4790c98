// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
)

func TestGRPCHealthAndReflection(t *testing.T) {
	p := newGRPCPair(t, pairOptions{brokers: brokerTunnel})
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
		"plugin.GRPCBroker", "plugin.GRPCController", "plugin.GRPCStdio", "reattach.v1.Tunnel", "test.Relay",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	for _, name := range want[:len(want)-1] {
		if !isOwnMethod("/" + name + "/Any") {
			t.Errorf("calls of %s are counted as the plugin's", name)
		}
	}
	for _, method := range []string{"/test.Relay/Hold", "/plugin.GRPCBrokerage/X", "", "/", "odd"} {
		if isOwnMethod(method) {
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
	NetRPCUnsupportedPlugin
	relay
}

func (failingPlugin) GRPCServer(*GRPCBroker, *grpc.Server) error { return errEcho }

func (failingPlugin) Server(b *MuxBroker) (interface{}, error) { return nil, errEcho }

func TestGRPCServiceRefusesPlugins(t *testing.T) {
	cases := map[string]struct {
		reason string
		plugin Plugin
		want   string
	}{
		"net/rpc only": {"it has nothing to register", &echoPlugin{}, `"kind" is not a GRPC-compatible plugin`},
		"failing":      {"its own error says why", &failingPlugin{}, `error registering "kind": the plugin says no`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			server := &GRPCServer{Plugins: PluginSet{"kind": tc.plugin}}
			if err := server.Init(); err == nil || err.Error() != tc.want {
				t.Errorf("%s: Init = %v, want %s", tc.reason, err, tc.want)
			}
		})
	}
}

func TestGRPCStdio(t *testing.T) {
	var out, errs awaitedBuffer
	done := make(chan struct{})
	script := scriptedOutput{
		{false, []byte("one ")}, {true, []byte("oops ")}, {false, nil}, {false, []byte("two")}, {true, bytes.Repeat([]byte("x"), 64<<10)},
	}
	newGRPCPair(t, pairOptions{
		service: func(cfg *grpcServiceConfig) { cfg.stdio = script },
		client: func(cfg *grpcClientConfig) {
			cfg.stdout, cfg.stderr = &out, &errs
			errs.notify(5+64<<10, done)
		},
	})
	<-done
	if got := out.String(); got != "one two" {
		t.Errorf("stdout = %q", got)
	}
	if got := errs.String(); got != "oops "+strings.Repeat("x", 64<<10) {
		t.Errorf("stderr has %d bytes, want %d", len(got), 5+64<<10)
	}
}

// A host whose writer fails still takes the output, so that the plugin does not
// block.
func TestGRPCStdioWriterFails(t *testing.T) {
	var errs awaitedBuffer
	done := make(chan struct{})
	newGRPCPair(t, pairOptions{
		service: func(cfg *grpcServiceConfig) {
			cfg.stdio = scriptedOutput{{false, []byte("lost")}, {false, []byte("too")}, {true, []byte("ok")}}
		},
		client: func(cfg *grpcClientConfig) {
			cfg.stdout, cfg.stderr = failingWriter{}, &errs
			errs.notify(2, done)
		},
	})
	<-done
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

// awaitedBuffer is a buffer that says when it holds enough.
type awaitedBuffer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	want int
	full chan struct{}
}

func (b *awaitedBuffer) notify(want int, full chan struct{}) { b.want, b.full = want, full }

func (b *awaitedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.buf.Write(p)
	if b.full != nil && b.buf.Len() >= b.want {
		close(b.full)
		b.full = nil
	}
	return n, err
}

func (b *awaitedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// What a child wrote before its host came waits in its pipes.
func TestReaderOutput(t *testing.T) {
	r, w := io.Pipe()
	output := newReaderOutput(r, strings.NewReader("from stderr"))
	defer output.close()
	go func() {
		_, _ = io.WriteString(w, "from stdout")
		_ = w.Close()
	}()
	sub := output.subscribe()
	defer sub.close()
	got := map[bool]string{}
	for {
		isStderr, data, err := sub.next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got[isStderr] += string(data)
	}
	if diff := cmp.Diff(map[bool]string{false: "from stdout", true: "from stderr"}, got); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	silent, w2 := io.Pipe()
	defer w2.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errEcho)
	if _, _, err := newReaderOutput(silent, nil).subscribe().next(ctx); !errors.Is(err, errEcho) {
		t.Errorf("next = %v, want the cause of its context", err)
	}
}

// A call in flight when the plugin drains may still call back.
func TestGRPCDrain(t *testing.T) {
	for name, options := range brokerCases {
		t.Run(name, func(t *testing.T) {
			p := newGRPCPair(t, options)
			draining := make(chan error, 1)
			go func() { draining <- p.client.watchDrain(t.Context()) }()
			type answer struct {
				text string
				err  error
			}
			answered := make(chan answer, 1)
			go func() {
				text, err := p.stub.callback(t.Context(), "Late", "the host")
				answered <- answer{text, err}
			}()
			<-p.impl.held
			if n := p.service.inFlight(); n != 1 {
				t.Errorf("inFlight = %d, want 1", n)
			}
			select {
			case err := <-draining:
				t.Fatalf("watchDrain = %v before the drain", err)
			default:
			}

			p.service.notifyDrain()
			if err := <-draining; err != nil {
				t.Errorf("watchDrain = %v", err)
			}
			if err := p.client.Ping(); err != nil {
				t.Errorf("Ping while draining = %v", err)
			}
			expired, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := p.service.waitIdle(expired); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("waitIdle with a call in flight = %v", err)
			}
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				p.service.gracefulStop(t.Context())
			}()
			close(p.impl.gate)
			if a := <-answered; a.text != "the host" || a.err != nil {
				t.Errorf("call in flight = %q, %v, want its answer", a.text, a.err)
			}
			<-stopped
			_, err := p.stub.call(t.Context(), "Name", "")
			wantLost(t, "call after the drain", err)
		})
	}
}

// A call that does not end is cut off when the time is over.
func TestGRPCDrainTimeout(t *testing.T) {
	p := newGRPCPair(t, pairOptions{brokers: brokerTunnel})
	failed := make(chan error, 1)
	go func() {
		_, err := p.stub.call(t.Context(), "Hold", "")
		failed <- err
	}()
	<-p.impl.held
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	p.service.gracefulStop(ctx)
	wantLost(t, "call cut off", <-failed)
}

// Streams that hosts hold open must not keep a server from stopping.
func TestGRPCGracefulStopEndsOwnStreams(t *testing.T) {
	p := newGRPCPair(t, pairOptions{brokers: brokerTunnel})
	reflect, err := grpc_reflection_v1.NewServerReflectionClient(p.client.Conn).ServerReflectionInfo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	watch, err := grpc_health_v1.NewHealthClient(p.client.Conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{Service: GRPCServiceName})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	p.service.gracefulStop(t.Context())
	if _, err := reflect.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("reflection stream ended with %v, want an orderly end", err)
	}
	if _, err := watch.Recv(); !errors.Is(err, io.EOF) {
		t.Errorf("health stream ended with %v, want an orderly end", err)
	}
}

func TestGRPCMessageSizes(t *testing.T) {
	big := strings.Repeat("m", 64<<20)
	p := newGRPCPair(t, pairOptions{service: func(cfg *grpcServiceConfig) {
		cfg.newServer = func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.MaxRecvMsgSize(math.MaxInt32))...)
		}
	}})
	if got, err := p.stub.call(t.Context(), "Name", big); len(got) != len("plugin")+len(big) || err != nil {
		t.Errorf("64 MiB there and back: %d bytes, %v", len(got), err)
	}
	// A plugin that says nothing takes gRPC's 4 MiB, as it always did.
	p = newGRPCPair(t, pairOptions{})
	if _, err := p.stub.call(t.Context(), "Name", big[:5<<20]); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("5 MiB to a server with the default limit = %v, want ResourceExhausted", err)
	}
}

// A factory of the plugin's own may bring interceptors of every kind.
func TestGRPCFactoryWithInterceptors(t *testing.T) {
	var seen awaitedBuffer
	note := func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		fmt.Fprintln(&seen, info.FullMethod)
		return next(ctx, req)
	}
	p := newGRPCPair(t, pairOptions{service: func(cfg *grpcServiceConfig) {
		cfg.newServer = func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, grpc.UnaryInterceptor(note), grpc.ChainUnaryInterceptor(note))...)
		}
	}})
	go func() { _, _ = p.stub.call(t.Context(), "Hold", "") }()
	<-p.impl.held
	if n := p.service.inFlight(); n != 1 {
		t.Errorf("inFlight = %d, want 1", n)
	}
	if got, want := seen.String(), strings.Repeat("/test.Relay/Hold\n", 2); got != want {
		t.Errorf("interceptors saw %q, want %q", got, want)
	}
}

func TestGRPCShutdown(t *testing.T) {
	for _, multiplex := range []bool{false, true} {
		t.Run(fmt.Sprint("multiplex ", multiplex), func(t *testing.T) {
			client, server := TestPluginGRPCConn(t, multiplex, PluginSet{"relay": newRelay("child")})
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
		service: func(cfg *grpcServiceConfig) { cfg.onShutdown = func() { close(shutdown) } },
		client:  func(cfg *grpcClientConfig) { cfg.remote, cfg.detach = false, func() { detached = true } },
	})
	if err := p.client.Close(); err != nil || !detached {
		t.Errorf("Close = %v, detached %v", err, detached)
	}
	other, err := newGRPCClient(grpcClientConfig{dial: p.dial, logger: hclog.NewNullLogger(), doneCtx: t.Context(), remote: true})
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
	if _, err := other.controller.Shutdown(t.Context(), &pluginpb.Empty{}); err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	<-shutdown
}

func TestTestGRPCConn(t *testing.T) {
	conn, server := TestGRPCConn(t, func(s *grpc.Server) { s.RegisterService(relayDesc(), newRelay("test")) })
	defer server.Stop()
	defer conn.Close()
	if got, err := (&relay{conn: conn}).call(t.Context(), "Name", ""); got != "test" || err != nil {
		t.Errorf("call = %q, %v", got, err)
	}
}
