// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/hashicorp/go-plugin/internal/grpcmux"
)

// relay is the gRPC plugin of these tests. It is both the plugin and, on the
// host, its stub.
type relay struct {
	NetRPCUnsupportedPlugin
	name string
	held chan struct{} // one token for each call that holds
	gate chan struct{} // closed: holding calls go on

	broker *GRPCBroker
	conn   grpc.ClientConnInterface
}

func newRelay(name string) *relay {
	return &relay{name: name, held: make(chan struct{}, 1000), gate: make(chan struct{})}
}

func (r *relay) GRPCServer(b *GRPCBroker, s *grpc.Server) error {
	served := *r
	served.broker = b
	s.RegisterService(relayDesc(), &served)
	return nil
}

func (r *relay) GRPCClient(_ context.Context, b *GRPCBroker, conn *grpc.ClientConn) (interface{}, error) {
	return &relay{broker: b, conn: conn}, nil
}

type relayFunc func(r *relay, ctx context.Context, text string) (string, error)

// relayDesc is what generated code would be.
func relayDesc() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: "test.Relay",
		HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{
			relayMethod("Name", func(r *relay, _ context.Context, text string) (string, error) { return r.name + text, nil }),
			relayMethod("Hold", func(r *relay, ctx context.Context, _ string) (string, error) { return r.name, r.hold(ctx) }),
			relayMethod("Busy", (*relay).busy),
			relayMethod("Via", (*relay).via),
			relayMethod("Open", (*relay).open),
			relayMethod("Late", (*relay).late),
		},
		Streams: []grpc.StreamDesc{{StreamName: "Count", Handler: countStream, ServerStreams: true}},
	}
}

func relayMethod(name string, f relayFunc) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, dec func(any) error, icpt grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := dec(in); err != nil {
			return nil, err
		}
		handler := func(ctx context.Context, req any) (any, error) {
			text, err := f(srv.(*relay), ctx, req.(*wrapperspb.StringValue).GetValue())
			return wrapperspb.String(text), err
		}
		if icpt == nil {
			return handler(ctx, in)
		}
		return icpt(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: "/test.Relay/" + name}, handler)
	}}
}

func (r *relay) hold(ctx context.Context) error {
	r.held <- struct{}{}
	select {
	case <-r.gate:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var errBusy = status.Error(codes.Unavailable, "the plugin is busy")

// busy fails with the code that a lost connection has.
func (r *relay) busy(ctx context.Context, how string) (string, error) {
	if how == "header" {
		_ = grpc.SendHeader(ctx, metadata.Pairs("early", "yes"))
	}
	return "", errBusy
}

// via calls the host back on a brokered id.
func (r *relay) via(ctx context.Context, id string) (string, error) {
	return askBroker(ctx, r.broker, parseID(id))
}

// late is via once the gate is open.
func (r *relay) late(ctx context.Context, id string) (string, error) {
	if err := r.hold(ctx); err != nil {
		return "", err
	}
	return r.via(ctx, id)
}

// open serves a relay on an id of the plugin's, which it returns.
func (r *relay) open(_ context.Context, text string) (string, error) {
	id := r.broker.NextId()
	go r.broker.AcceptAndServe(id, serveRelay(r.name+text))
	return fmt.Sprint(id), nil
}

// countStream sends two messages and then does what it was told.
func countStream(srv any, stream grpc.ServerStream) error {
	in := new(wrapperspb.StringValue)
	if err := stream.RecvMsg(in); err != nil {
		return err
	}
	for i := range 2 {
		if err := stream.SendMsg(wrapperspb.String(fmt.Sprint(i))); err != nil {
			return err
		}
	}
	if in.GetValue() == "busy" {
		return errBusy
	}
	return srv.(*relay).hold(stream.Context())
}

// call is a unary call of the stub.
func (r *relay) call(ctx context.Context, method, text string) (string, error) {
	out := new(wrapperspb.StringValue)
	err := r.conn.Invoke(ctx, "/test.Relay/"+method, wrapperspb.String(text), out)
	return out.GetValue(), err
}

// count opens the stream of the stub and reads its two messages.
func (r *relay) count(ctx context.Context, then string) (grpc.ClientStream, error) {
	stream, err := r.conn.NewStream(ctx, &relayDesc().Streams[0], "/test.Relay/Count")
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(wrapperspb.String(then)); err != nil {
		return nil, err
	}
	for range 2 {
		if err := stream.RecvMsg(new(wrapperspb.StringValue)); err != nil {
			return nil, err
		}
	}
	return stream, stream.CloseSend()
}

// callback lets the plugin call back to a relay of that name.
func (r *relay) callback(ctx context.Context, method, name string) (string, error) {
	id := r.broker.NextId()
	go r.broker.AcceptAndServe(id, serveRelay(name))
	return r.call(ctx, method, fmt.Sprint(id))
}

// opened calls a relay that the plugin serves on an id of its own.
func (r *relay) opened(ctx context.Context, text string) (string, error) {
	id, err := r.call(ctx, "Open", text)
	if err != nil {
		return "", err
	}
	return askBroker(ctx, r.broker, parseID(id))
}

func askBroker(ctx context.Context, b *GRPCBroker, id uint32) (string, error) {
	conn, err := b.Dial(id)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return (&relay{conn: conn}).call(ctx, "Name", "")
}

// serveRelay makes a server that stops after its first call.
func serveRelay(name string) func([]grpc.ServerOption) *grpc.Server {
	return func(opts []grpc.ServerOption) *grpc.Server {
		var server *grpc.Server
		opts = append(opts, grpc.ChainUnaryInterceptor(func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			defer func() { go server.GracefulStop() }()
			return next(ctx, req)
		}))
		server = grpc.NewServer(opts...)
		server.RegisterService(relayDesc(), newRelay(name))
		return server
	}
}

func parseID(text string) (id uint32) {
	_, _ = fmt.Sscan(text, &id)
	return id
}

// grpcPair is a plugin and its host over a real socket.
type grpcPair struct {
	impl    *relay
	service *grpcService
	client  *GRPCClient
	stub    *relay
	dial    func(context.Context) (net.Conn, error)
	end     func()
}

// pairOptions change what newGRPCPair makes.
type pairOptions struct {
	brokers brokerKind
	mutual  bool // TLS as AutoMTLS makes it
	service func(*grpcServiceConfig)
	client  func(*grpcClientConfig)
}

func newGRPCPair(t testing.TB, o pairOptions) *grpcPair {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &grpcPair{impl: newRelay("plugin")}
	serving := grpcServiceConfig{
		plugins: PluginSet{"relay": p.impl},
		brokers: o.brokers,
		stdio:   newReaderOutput(nil, nil),
		logger:  hclog.NewNullLogger(),
	}
	calling := grpcClientConfig{
		plugins: PluginSet{"relay": &relay{}},
		brokers: o.brokers,
		logger:  hclog.NewNullLogger(),
		doneCtx: t.Context(),
		remote:  true,
		dial: func(ctx context.Context) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "tcp", lis.Addr().String())
		},
	}
	if o.mutual {
		serving.tls, calling.tls = mutualTLS(t)
		serving.options = append(serving.options, grpc.Creds(credentials.NewTLS(serving.tls)))
		calling.creds = credentials.NewTLS(calling.tls)
	}
	served := lis
	if o.brokers == brokerMux {
		serving.mux = grpcmux.NewServerMuxer(hclog.NewNullLogger(), lis)
		served = serving.mux
		multiplexTest(t, &calling)
	}
	if o.service != nil {
		o.service(&serving)
	}
	if o.client != nil {
		o.client(&calling)
	}
	p.dial = calling.dial
	p.start(t, serving, calling, served)
	return p
}

func (p *grpcPair) start(t testing.TB, serving grpcServiceConfig, calling grpcClientConfig, lis net.Listener) {
	t.Helper()
	var err error
	if p.service, err = newGRPCService(serving); err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		if err := p.service.serve(lis); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	if p.client, err = newGRPCClient(calling); err != nil {
		t.Fatal(err)
	}
	p.end = sync.OnceFunc(func() {
		_ = p.client.Close()
		p.service.stop()
		running.Wait()
	})
	t.Cleanup(p.end)
	raw, err := p.client.Dispense("relay")
	if err != nil {
		t.Fatal(err)
	}
	p.stub = raw.(*relay)
}

// mutualTLS is what AutoMTLS agrees on.
func mutualTLS(t testing.TB) (plugin, host *tls.Config) {
	t.Helper()
	pluginCert, err := newOneTimeCertificate()
	if err != nil {
		t.Fatal(err)
	}
	hostCert, err := newOneTimeCertificate()
	if err != nil {
		t.Fatal(err)
	}
	if plugin, err = pluginCert.serverConfig(string(hostCert.pem)); err != nil {
		t.Fatal(err)
	}
	if host, err = hostCert.clientConfig(pluginCert.line()); err != nil {
		t.Fatal(err)
	}
	return plugin, host
}

// scriptedOutput is a plugin's output that is known beforehand.
type scriptedOutput []outputChunk

func (o scriptedOutput) subscribe() stdioSubscription {
	rest := o
	return &scriptedSubscription{rest}
}

type scriptedSubscription struct{ rest scriptedOutput }

func (s *scriptedSubscription) next(context.Context) (bool, []byte, error) {
	if len(s.rest) == 0 {
		return false, nil, io.EOF
	}
	chunk := s.rest[0]
	s.rest = s.rest[1:]
	return chunk.isStderr, chunk.data, nil
}

func (*scriptedSubscription) close() {}
