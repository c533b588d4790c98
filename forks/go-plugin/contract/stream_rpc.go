// SPDX-License-Identifier: MPL-2.0

package contract

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/hashicorp/go-plugin"
)

// The frames of a stream over net/rpc: one of these bytes, the length of what follows as
// four bytes, and that.
const (
	frameOpen    = 'o' // the method has begun
	frameMessage = 'm'
	frameEnd     = 'e' // nothing follows from this side, which has ended well
	frameFailure = 'f' // the method has failed: a google.rpc.Status
)

func (c *rpcCaller) open(ctx context.Context, method string, request proto.Message, _, _ bool) (Stream, error) {
	if c.broker == nil {
		return nil, errNoBroker
	}
	id := c.broker.NextId()
	opening, err := openingOf(request, id)
	if err != nil {
		return nil, err
	}
	type accepted struct {
		conn net.Conn
		err  error
	}
	accepts := make(chan accepted, 1)
	go func() {
		conn, err := c.broker.Accept(id)
		accepts <- accepted{conn, err}
	}()
	err = plugin.CallContext(ctx, c.client, "Plugin."+method, opening, opening.reply())
	if err != nil {
		go func() { // it may come yet
			if a := <-accepts; a.conn != nil {
				_ = a.conn.Close()
			}
		}()
		return nil, err
	}
	a := <-accepts // the plugin has dialled before it answered
	if a.err != nil {
		return nil, fmt.Errorf("%s: accept its stream: %w", method, a.err)
	}
	return newRPCStream(ctx, method, a.conn), nil
}

// Stream serves a call with a stream over net/rpc: it dials the stream that the request
// names, and runs serve on it, in a goroutine that ends with the method.
func (p *Peer) Stream(method string, id uint32, serve func(ctx context.Context, s Stream) error) error {
	if p.mux == nil {
		return errNoBroker
	}
	if id == 0 {
		return &refused{method + ": the request names no stream"}
	}
	conn, err := p.mux.Dial(id)
	if err != nil {
		return fmt.Errorf("%s: dial its stream: %w", method, err)
	}
	s := newRPCStream(context.Background(), method, conn)
	go func() {
		defer s.Close()
		s.finish(run(method, s, serve))
	}()
	return nil
}

// run answers a panic of a method as the end of its stream.
func run(method string, s *rpcStream, serve func(context.Context, Stream) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = status.Errorf(codes.Internal, "%s panicked: %v", method, p)
		}
	}()
	return serve(s.Context(), s)
}

// rpcStream is a side of a stream over net/rpc.
type rpcStream struct {
	method string
	conn   net.Conn
	ctx    context.Context
	cancel context.CancelCauseFunc
	frames chan frame // closed after the last
	write  sync.Mutex
	ended  error
}

type frame struct {
	kind byte
	body []byte
}

func newRPCStream(ctx context.Context, method string, conn net.Conn) *rpcStream {
	s := &rpcStream{method: method, conn: conn, frames: make(chan frame)}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	context.AfterFunc(s.ctx, func() { _ = conn.Close() })
	go s.read()
	return s
}

// read takes frames from the connection until that ends.
func (s *rpcStream) read() {
	defer close(s.frames)
	from := bufio.NewReader(s.conn)
	for {
		f, err := readFrame(from)
		if err != nil {
			s.cancel(s.lost(err))
			return
		}
		select {
		case s.frames <- f:
		case <-s.ctx.Done():
			return
		}
		if f.kind == frameFailure {
			s.cancel(failure(f.body)) // nothing follows, and nobody would see the other side leave
			return
		}
	}
}

func (s *rpcStream) lost(err error) error {
	if errors.Is(err, errFrame) {
		return err
	}
	return fmt.Errorf("%s: %w", s.method, plugin.ErrConnectionLost)
}

var errFrame = errors.New("the other side sent what is no frame of a stream")

func readFrame(from *bufio.Reader) (frame, error) {
	var head [5]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return frame{}, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > plugin.DefaultMaxMessageBytes {
		return frame{}, fmt.Errorf("%w: %d bytes", errFrame, n)
	}
	// As much as comes, not as much as was said.
	body, err := io.ReadAll(io.LimitReader(from, int64(n)))
	if err == nil && len(body) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	return frame{head[0], body}, err
}

func (s *rpcStream) send(kind byte, m proto.Message) error {
	raw := []byte{kind, 0, 0, 0, 0}
	if m != nil {
		var err error
		if raw, err = (proto.MarshalOptions{}).MarshalAppend(raw, m); err != nil {
			return err
		}
	}
	if len(raw)-5 > plugin.DefaultMaxMessageBytes {
		return fmt.Errorf("%s: a message of %d bytes: a stream takes %d at most", s.method, len(raw)-5, plugin.DefaultMaxMessageBytes)
	}
	binary.BigEndian.PutUint32(raw[1:], uint32(len(raw)-5))
	s.write.Lock()
	defer s.write.Unlock()
	if _, err := s.conn.Write(raw); err != nil {
		if s.ctx.Err() != nil {
			return context.Cause(s.ctx)
		}
		return s.lost(err)
	}
	return nil
}

// finish says how the method has ended.
func (s *rpcStream) finish(err error) {
	if err == nil {
		_ = s.send(frameEnd, nil) // the other side may have left
		return
	}
	_ = s.send(frameFailure, status.Convert(err).Proto())
}

// Context implements Stream.
func (s *rpcStream) Context() context.Context { return s.ctx }

// Send implements Stream.
func (s *rpcStream) Send(m proto.Message) error { return s.send(frameMessage, m) }

// Open implements Stream.
func (s *rpcStream) Open() error { return s.send(frameOpen, nil) }

// CloseSend implements Stream.
func (s *rpcStream) CloseSend() error { return s.send(frameEnd, nil) }

// Close implements Stream.
func (s *rpcStream) Close() { s.cancel(context.Canceled) }

// next gives the next frame that says something else than that the method has begun.
func (s *rpcStream) next() (frame, error) {
	if s.ended != nil {
		return frame{}, s.ended
	}
	f, ok := <-s.frames
	switch {
	case !ok:
		s.ended = context.Cause(s.ctx)
	case f.kind == frameEnd:
		s.ended = io.EOF
	case f.kind == frameFailure:
		s.ended = failure(f.body)
	case f.kind != frameMessage && f.kind != frameOpen:
		s.ended = fmt.Errorf("%w: it begins with %d", errFrame, f.kind)
	}
	return f, s.ended
}

func failure(body []byte) error {
	var st spb.Status
	if err := proto.Unmarshal(body, &st); err != nil || st.GetCode() == int32(codes.OK) {
		return fmt.Errorf("%w: a failure without a status", errFrame)
	}
	return status.FromProto(&st).Err()
}

// Await implements Stream.
func (s *rpcStream) Await() error {
	f, err := s.next()
	if err == nil && f.kind != frameOpen {
		return fmt.Errorf("%w: it did not say that the method has begun", errFrame)
	}
	return err
}

// Recv implements Stream.
func (s *rpcStream) Recv(m proto.Message) error {
	for {
		f, err := s.next()
		if err != nil {
			return err
		}
		if f.kind == frameMessage {
			return proto.Unmarshal(f.body, m)
		}
	}
}
