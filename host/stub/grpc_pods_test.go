// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// shopGRPC is the gRPC side of the tests' plugin. Its service is written by
// hand: every message is a StringValue.
type shopGRPC struct {
	plugin.NetRPCUnsupportedPlugin
	ledger *ledger
}

func (p *shopGRPC) GRPCServer(b *plugin.GRPCBroker, s *grpc.Server) error {
	s.RegisterService(&shopService, &shopHandler{p.ledger, b})
	return nil
}

func (p *shopGRPC) GRPCClient(_ context.Context, b *plugin.GRPCBroker, c *grpc.ClientConn) (any, error) {
	return &shopCaller{c, b}, nil
}

// text is a unary method from text to text.
type text func(ctx context.Context, in string) (string, error)

// textMethod describes a method that pick finds in a handler.
func textMethod[T any](name string, pick func(T) text) grpc.MethodDesc {
	return grpc.MethodDesc{MethodName: name, Handler: func(srv any, ctx context.Context, dec func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
		var in wrapperspb.StringValue
		if err := dec(&in); err != nil {
			return nil, err
		}
		run := func(ctx context.Context, req any) (any, error) {
			out, err := pick(srv.(T))(ctx, req.(*wrapperspb.StringValue).GetValue())
			return wrapperspb.String(out), err
		}
		if intercept == nil {
			return run(ctx, &in)
		}
		return intercept(ctx, &in, &grpc.UnaryServerInfo{Server: srv, FullMethod: name}, run)
	}}
}

var shopService = grpc.ServiceDesc{
	ServiceName: "test.Shop",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		textMethod("Get", func(h *shopHandler) text { return h.get }),
		textMethod("Add", func(h *shopHandler) text { return h.add }),
		textMethod("Fail", func(h *shopHandler) text { return h.fail }),
		textMethod("Hang", func(h *shopHandler) text { return h.hang }),
		textMethod("Via", func(h *shopHandler) text { return h.via }),
		textMethod("Open", func(h *shopHandler) text { return h.open }),
	},
	Streams: []grpc.StreamDesc{{StreamName: "Chat", ServerStreams: true, ClientStreams: true,
		Handler: func(srv any, s grpc.ServerStream) error { return srv.(*shopHandler).chat(s) }}},
}

type shopHandler struct {
	ledger *ledger
	broker *plugin.GRPCBroker
}

// get shows what travels beside a call, too.
func (h *shopHandler) get(ctx context.Context, id string) (string, error) {
	in, _ := metadata.FromIncomingContext(ctx)
	_ = grpc.SetHeader(ctx, metadata.Pairs("seen", strings.Join(in.Get("mark"), "")))
	_ = grpc.SetTrailer(ctx, metadata.Pairs("end", id))
	return id, nil
}

func (h *shopHandler) add(_ context.Context, id string) (string, error) {
	h.ledger.add(id)
	time.Sleep(time.Millisecond) // in which the pod can die
	return id, nil
}

// fail answers with the very code that gRPC itself uses for lost connections.
func (h *shopHandler) fail(context.Context, string) (string, error) {
	return "", status.Error(codes.Unavailable, "sold out")
}

func (h *shopHandler) hang(ctx context.Context, _ string) (string, error) {
	h.ledger.hung <- struct{}{}
	<-ctx.Done()
	return "", ctx.Err()
}

// via asks the host back; in is "broker id|text".
func (h *shopHandler) via(ctx context.Context, in string) (string, error) {
	var id uint32
	number, said, _ := strings.Cut(in, "|")
	if _, err := fmt.Sscan(number, &id); err != nil {
		return "", err
	}
	conn, err := h.broker.Dial(id)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return callText(ctx, conn, "/test.Sayer/Say", said)
}

// open accepts an id and tells it.
func (h *shopHandler) open(_ context.Context, prefix string) (string, error) {
	id := h.broker.NextId()
	serveSayer(h.broker, id, prefix)
	return fmt.Sprint(id), nil
}

func (h *shopHandler) chat(s grpc.ServerStream) error {
	for {
		var in wrapperspb.StringValue
		if err := s.RecvMsg(&in); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if in.GetValue() == "fail" {
			return status.Error(codes.Unavailable, "sold out")
		}
		if err := s.SendMsg(&in); err != nil {
			return err
		}
	}
}

// saying is what is called back.
type saying struct{ prefix string }

func (s *saying) say(_ context.Context, in string) (string, error) { return s.prefix + in, nil }

var sayerService = grpc.ServiceDesc{
	ServiceName: "test.Sayer",
	HandlerType: (*any)(nil),
	Methods:     []grpc.MethodDesc{textMethod("Say", func(s *saying) text { return s.say })},
}

// serveSayer serves an id in the background; stop ends it.
func serveSayer(b *plugin.GRPCBroker, id uint32, prefix string) (stop func()) {
	server := make(chan *grpc.Server, 1)
	go b.AcceptAndServe(id, func(opts []grpc.ServerOption) *grpc.Server {
		s := grpc.NewServer(opts...)
		s.RegisterService(&sayerService, &saying{prefix})
		server <- s
		return s
	})
	return func() { (<-server).Stop() }
}

func callText(ctx context.Context, c grpc.ClientConnInterface, method, in string, opts ...grpc.CallOption) (string, error) {
	var out wrapperspb.StringValue
	err := c.Invoke(ctx, method, wrapperspb.String(in), &out, opts...)
	return out.GetValue(), err
}

type shopCaller struct {
	conn   *grpc.ClientConn
	broker *plugin.GRPCBroker
}

func (c *shopCaller) call(method, in string, opts ...grpc.CallOption) (string, error) {
	return callText(context.Background(), c.conn, "/test.Shop/"+method, in, opts...)
}

// Via gives the plugin something to call back.
func (c *shopCaller) Via(prefix, said string) (string, error) {
	id := c.broker.NextId()
	defer serveSayer(c.broker, id, prefix)()
	return c.call("Via", fmt.Sprintf("%d|%s", id, said))
}

// Open dials what the plugin has accepted.
func (c *shopCaller) Open(prefix, said string) (string, error) {
	number, err := c.call("Open", prefix)
	if err != nil {
		return "", err
	}
	var id uint32
	if _, err := fmt.Sscan(number, &id); err != nil {
		return "", err
	}
	conn, err := c.broker.Dial(id)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return callText(context.Background(), conn, "/test.Sayer/Say", said)
}
