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
	if _, err := c.invoke(ctx, cc, method, req, reply, opts); err != ErrNotInvoked {
		return err
	}
	return invoker(ctx, method, req, reply, cc, opts...)
}

// ErrNotInvoked says that nothing was done of a call, which the connection has to make.
var ErrNotInvoked = errors.New("the call was left to its connection")

// Invoke makes a call as cc would, and reports whether it was sent, so that the plugin may
// have run it. The error is ErrNotInvoked if cc has to make it, as one that is not Conn
// always has.
func (c *Client) Invoke(ctx context.Context, cc *grpc.ClientConn, method string, req, reply any, opts []grpc.CallOption) (sent bool, err error) {
	if c.Conn == nil || cc != c.Conn {
		return false, ErrNotInvoked
	}
	return c.invoke(ctx, cc, method, req, reply, c.Defaults, opts)
}

func (c *Client) invoke(ctx context.Context, cc *grpc.ClientConn, method string, req, reply any, opts ...[]grpc.CallOption) (sent bool, err error) {
	var call unaryCall
	if !call.options.parse(opts...) {
		return false, ErrNotInvoked
	}
	if err = c.unary(ctx, &call, method, req, reply, cc); err != ErrNotInvoked {
		call.options.finish(err)
	}
	return call.sent, err
}

// unaryCall is what a unary call needs.
type unaryCall struct {
	options options
	pieces  pieces
	reply   reply
	sent    bool // the plugin may have run it
}

// unary makes a call.
func (c *Client) unary(ctx context.Context, call *unaryCall, method string, req, reply any, cc *grpc.ClientConn) error {
	buffer := buffers.Get().(*[]byte)
	defer func() {
		if cap(*buffer) <= keepBuffer {
			buffers.Put(buffer)
		}
	}()
	head, err := c.begin(ctx, &call.options, (*buffer)[:0], method, cc)
	if err != nil {
		return err
	}
	all, long, err := call.options.appendMessage(head, req)
	*buffer = all
	if err != nil {
		return err
	}
	more := make([][]byte, len(long))
	for i, piece := range long {
		more[i] = piece.ReadOnlyData()
	}
	stream, err := c.mux.OpenCall(ctx, mux.UnaryCall, all[:len(head)], all[len(head):], true, more...)
	long.Free()
	if err != nil {
		return c.explain(ctx, cc, err)
	}
	call.sent = true
	call.options.sent(&c.peer)
	defer stream.Close()
	defer call.pieces.recycle()
	if err := c.collect(ctx, call, stream); err != nil {
		return c.explain(ctx, cc, err)
	}
	call.reply.Reader = &call.pieces
	err = call.reply.only(&call.options, reply)
	call.options.answered(call.reply.header, call.reply.trailer)
	call.sent = !call.options.notRun(err)
	return c.explain(ctx, cc, err)
}

// begin appends the header of a call. The error is ErrNotInvoked if HTTP/2 has to carry it.
func (c *Client) begin(ctx context.Context, o *options, b []byte, method string, cc *grpc.ClientConn) (head []byte, err error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	if cc.GetState() == connectivity.Shutdown {
		return nil, peererr.Lost(errClosing)
	}
	if err := o.checkCompressor(); err != nil {
		return nil, err
	}
	var timeout time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		if timeout = time.Until(deadline); timeout <= 0 {
			return nil, status.FromContextError(context.DeadlineExceeded).Err()
		}
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	head, ok := appendHeader(b, method, o, timeout, md)
	if !ok {
		return nil, ErrNotInvoked
	}
	return head, nil
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
	if isRefusal(err) || errors.Is(err, mux.ErrTooManyStreams) {
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
