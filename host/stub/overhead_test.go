// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"net/rpc"
	"reflect"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// instant is a channel and a codec on which every request is answered at once,
// with nothing.
type instant struct {
	numbers chan uint64
	closed  chan struct{}
}

func newInstant() *instant {
	return &instant{numbers: make(chan uint64, 1024), closed: make(chan struct{})}
}

func (c *instant) Send(r plugin.RPCRequest, _ any) (uint64, error) {
	c.numbers <- r.Number
	return 1, nil
}

func (c *instant) ReadHeader(r *rpc.Response) error {
	select {
	case r.Seq = <-c.numbers:
		return nil
	case <-c.closed:
		return plugin.ErrConnectionLost
	}
}

func (c *instant) Cancel(uint64) bool                     { return false }
func (c *instant) Taken() uint64                          { return 1 }
func (c *instant) Await(context.Context) error            { return nil }
func (c *instant) DetachReply() func(reflect.Value) error { return nil }

func (c *instant) ReadReply(reflect.Value) error { return nil }

func (c *instant) Close() error {
	select {
	case <-c.closed:
	default:
		close(c.closed)
	}
	return nil
}

// instantCodec is the same for a client without a stub.
type instantCodec struct{ *instant }

func (c instantCodec) WriteRequest(r *rpc.Request, _ any) error {
	_, err := c.Send(plugin.RPCRequest{Method: r.ServiceMethod, Number: r.Seq}, nil)
	return err
}
func (c instantCodec) ReadResponseHeader(r *rpc.Response) error { return c.ReadHeader(r) }
func (c instantCodec) ReadResponseBody(any) error               { return nil }

type deafObserver struct{}

func (deafObserver) Called(Call) {}

// BenchmarkOverhead measures what a stub does for a call, without a transport.
func BenchmarkOverhead(b *testing.B) {
	stub := mustRPC(b, "kind", Config{Router: &oneSession{newInstant()}, Methods: testMethods, Observer: deafObserver{}})
	for name, client := range map[string]*rpc.Client{
		"unrouted": rpc.NewClientWithCodec(instantCodec{newInstant()}),
		"routed":   stub.Client,
	} {
		defer client.Close()
		benchmarkCalls(b, name, func() error {
			var reply string
			return client.Call("Plugin.Get", "name", &reply)
		})
	}
}

// BenchmarkGRPCOverhead does the same over gRPC.
func BenchmarkGRPCOverhead(b *testing.B) { benchmarkCalls(b, "routed", instantGRPC(b)) }

// instantGRPC makes a routed call that is answered at once.
func instantGRPC(b testing.TB) (call func() error) {
	s := &unarySession{invoke: func([]grpc.CallOption) (sent bool, err error) { return true, nil }}
	routed, err := NewGRPC(Config{Router: s, Methods: testMethods, Observer: deafObserver{}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = routed.Close() })
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	b.Cleanup(cancel)
	req, reply := new(wrapperspb.StringValue), new(wrapperspb.StringValue)
	return func() error { return routed.Conn.Invoke(ctx, "/test.Shop/Get", req, reply) }
}
