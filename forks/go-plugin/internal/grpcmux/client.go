// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/peererr"
)

// Client makes the gRPC calls of a session. Its Unary and Stream are interceptors, the last
// before the connection. What they cannot do as gRPC would, they leave to that.
type Client struct {
	mux  *mux.Host
	peer peer.Peer

	// What Invoke needs: the connection whose interceptors these are, and the options that
	// it gives each call. Of a connection with other interceptors too, it is nil.
	Conn     *grpc.ClientConn
	Defaults []grpc.CallOption
}

// NewClient returns the client of a session. peer is what callers are told of the plugin.
func NewClient(host *mux.Host, peer peer.Peer) *Client { return &Client{mux: host, peer: peer} }

// Ping asks the plugin for a sign of life until ctx ends.
func (c *Client) Ping(ctx context.Context) error {
	err := c.mux.Ping(ctx)
	if ended := c.mux.Err(); err != nil && ended != nil {
		return peererr.Lost(ended)
	}
	return err
}

// buffers hold the header and the first message of a call.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

const keepBuffer = 64 << 10

// Unary is a grpc.UnaryClientInterceptor.
func (c *Client) Unary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	if _, made, err := c.invoke(ctx, cc, method, req, reply, opts); made {
		return err
	}
	return invoker(ctx, method, req, reply, cc, opts...)
}

// Invoke makes a call as cc would, and reports whether it was sent, so that the plugin may
// have run it. It reports that it was not made, and has done nothing, if cc has to make it, as
// one that is not Conn always has.
func (c *Client) Invoke(ctx context.Context, cc *grpc.ClientConn, method string, req, reply any, opts []grpc.CallOption) (sent, made bool, err error) {
	if c.Conn == nil || cc != c.Conn {
		return false, false, nil
	}
	return c.invoke(ctx, cc, method, req, reply, c.Defaults, opts)
}

func (c *Client) invoke(ctx context.Context, cc *grpc.ClientConn, method string, req, reply any, opts ...[]grpc.CallOption) (sent, made bool, err error) {
	var call unaryCall
	if !call.options.parse(opts...) {
		return false, false, nil
	}
	if err, made = c.unary(ctx, &call, method, req, reply, cc); made {
		call.options.finish(err)
	}
	return call.sent, made, err
}

// unaryCall is what a unary call needs.
type unaryCall struct {
	options options
	pieces  pieces
	reply   reply
	sent    bool // the plugin may have run it
}

// unary makes a call. It reports false, and has done nothing, if HTTP/2 has to.
func (c *Client) unary(ctx context.Context, call *unaryCall, method string, req, reply any, cc *grpc.ClientConn) (err error, ok bool) {
	buffer := buffers.Get().(*[]byte)
	defer func() {
		if cap(*buffer) <= keepBuffer {
			buffers.Put(buffer)
		}
	}()
	head, err, ok := c.begin(ctx, &call.options, (*buffer)[:0], method, cc)
	if err != nil || !ok {
		return err, ok
	}
	all, long, err := call.options.appendMessage(head, req)
	*buffer = all
	if err != nil {
		return err, true
	}
	more := make([][]byte, len(long))
	for i, piece := range long {
		more[i] = piece.ReadOnlyData()
	}
	stream, err := c.mux.OpenCall(ctx, mux.UnaryCall, all[:len(head)], all[len(head):], true, more...)
	long.Free()
	if err != nil {
		return c.explain(ctx, cc, err), true
	}
	call.sent = true
	call.options.sent(&c.peer)
	defer stream.Close()
	defer call.pieces.recycle()
	if err := c.collect(ctx, call, stream); err != nil {
		return c.explain(ctx, cc, err), true
	}
	call.reply.Reader = &call.pieces
	err = call.reply.only(&call.options, reply)
	call.options.answered(call.reply.header, call.reply.trailer)
	call.sent = !call.options.notRun(err)
	return c.explain(ctx, cc, err), true
}

// begin appends the header of a call.
func (c *Client) begin(ctx context.Context, o *options, b []byte, method string, cc *grpc.ClientConn) (head []byte, err error, ok bool) {
	if err := ctx.Err(); err != nil {
		return b, status.FromContextError(err).Err(), true
	}
	if cc.GetState() == connectivity.Shutdown {
		return b, peererr.Lost(errClosing), true
	}
	if err := o.checkCompressor(); err != nil {
		return b, err, true
	}
	var timeout time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		if timeout = time.Until(deadline); timeout <= 0 {
			return b, status.FromContextError(context.DeadlineExceeded).Err(), true
		}
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	head, ok = appendHeader(b, method, o, timeout, md)
	return head, nil, ok
}

var errClosing = status.Error(codes.Canceled, "grpc: the client connection is closing")

// collect reads all that comes of an answer.
func (c *Client) collect(ctx context.Context, call *unaryCall, stream *mux.Stream) error {
	// The answer may have as much beside its message.
	const beside = 2 * maxFields
	for {
		if err := c.mux.Await(ctx, stream); err != nil {
			_ = stream.Reset(err.Error())
			return err
		}
		for {
			n, err := stream.TakeAvailable(call.pieces.last())
			if first := call.pieces.size == 0; first && n >= itemHead {
				if size := call.pieces.grow(n).announced(); size > pieceSize && size <= call.options.maxReceive {
					stream.Expect(size)
				}
			} else {
				call.pieces.grow(n)
			}
			switch {
			case err == io.EOF:
				return nil
			case err != nil:
				return err
			case call.pieces.size-beside > call.options.maxReceive:
				_ = stream.Reset("the answer is too long")
				return nil // The message is, which its length says.
			}
			if n == 0 {
				break
			}
		}
	}
}

// sent notes that the call is on its way to the plugin.
func (o *options) sent(p *peer.Peer) {
	if o.peer != nil {
		*o.peer = *p
	}
	for _, to := range o.peers {
		*to = *p
	}
}

// notRun takes back what sent has noted, and reports true, if the plugin has surely not run
// the call: as gRPC does where a transport has not taken it.
func (o *options) notRun(err error) bool {
	if !isRefusal(err) {
		return false
	}
	o.sent(new(peer.Peer))
	return true
}

// answered gives the caller what it wants to know of the answer.
func (o *options) answered(header, trailer metadata.MD) {
	for _, to := range o.headers {
		*to = header
	}
	for _, to := range o.trailers {
		*to = trailer
	}
}

// only reads an answer that is one message, and returns what the call ended with.
func (r *reply) only(o *options, msg any) error {
	more, err := r.next()
	if err != nil {
		return err
	}
	if !more {
		if r.status == nil {
			return status.Error(codes.Internal, "cardinality violation: received no response message from non-server-streaming RPC")
		}
		return r.status.Err()
	}
	if err := r.message(o, msg); err != nil {
		return err
	}
	switch more, err := r.next(); {
	case err != nil:
		return err
	case more:
		return status.Error(codes.Internal, "cardinality violation: expected <EOF> for non server-streaming RPCs, but received another message")
	}
	return r.status.Err()
}

// explain makes the error of a call of whatever it was that ended it.
func (c *Client) explain(ctx context.Context, cc *grpc.ClientConn, err error) error {
	if err == nil || isStatus(err) {
		return err
	}
	if ended := ctx.Err(); ended != nil {
		return status.FromContextError(ended).Err()
	}
	if isRefusal(err) {
		return peererr.Lost(status.Error(codes.Unavailable, err.Error()))
	}
	if errors.Is(err, errMalformed) {
		return status.Error(codes.Internal, err.Error())
	}
	if cc.GetState() == connectivity.Shutdown {
		return peererr.Lost(errClosing)
	}
	if failed := (*net.OpError)(nil); errors.As(err, &failed) {
		err = failed.Err
	}
	if ended := c.mux.Err(); ended != nil {
		err = ended
	}
	return peererr.Lost(status.Errorf(codes.Unavailable, "error reading from server: %v", err))
}
