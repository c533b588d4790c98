// SPDX-License-Identifier: MPL-2.0

package grpcmux

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	protobuf "google.golang.org/protobuf/proto"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// directCall is a call of a method that is known. It is its own context, and the
// grpc.ServerTransportStream in that.
type directCall struct {
	callContext
	method  *method
	options *options

	sending sync.Mutex // held while an item is sent
	held    []byte     // the only answer of a stream's method to a unary call
	short   loans      // the bytes of a short request

	mu      sync.Mutex // guards the rest
	begun   bool       // the header was sent, or cannot be any more
	ended   bool       // the trailer was
	header  metadata.MD
	trailer metadata.MD
}

// run runs the method, and answers.
func (m *method) run(stream *mux.Stream, parent context.Context, timeout time.Duration, o *options) {
	c := &directCall{method: m, options: o}
	c.init(parent, stream, timeout)
	defer c.release()
	ctx := grpc.NewContextWithServerTransportStream(&c.callContext, c)
	if m.unary == nil {
		c.finish(nil, m.stream(m.server, &serverStream{directCall: c, ctx: ctx, items: items{Reader: stream}}))
		return
	}
	request := reflect.New(m.request).Interface()
	if err := c.receive(request); err != nil {
		c.finish(nil, err)
		return
	}
	reply, err := m.unary(ctx, request)
	c.finish(reply, err)
}

// receive reads the only message of a request.
func (c *directCall) receive(msg any) error {
	buffer := buffers.Get().(*[]byte)
	c.short.own(&buffers, buffer)
	defer c.short.free()
	b := (*buffer)[:cap(*buffer)]
	n, err := c.stream.Read(b)
	if !c.isWhole(b[:n]) {
		return c.receiveLong(b[:n], err, msg)
	}
	if err := c.options.decode(b[0], mem.BufferSlice{c.short.lend(b[itemHead:n])}, "", msg); err != nil {
		return err
	}
	if c.stream.AtEnd() {
		return nil
	}
	return c.receiveEnd(items{Reader: c.stream})
}

// isWhole reports whether all of a message was read at once, and it may be decoded.
func (c *directCall) isWhole(b []byte) bool {
	n := len(b) - itemHead
	return n >= 0 && b[0] <= itemCompressed && n == int(binary.BigEndian.Uint32(b[1:])) && n <= c.options.maxReceive
}

// receiveLong does so for one of which first was read, with err, but not all.
func (c *directCall) receiveLong(first []byte, err error, msg any) error {
	if len(first) == 0 {
		return c.broken(err)
	}
	if len(first) >= itemHead {
		if size := int(binary.BigEndian.Uint32(first[1:])); size > maxAhead && size <= c.options.maxReceive {
			c.stream.Expect(size - len(first))
		}
	}
	r := items{Reader: io.MultiReader(&appender{first}, c.stream)}
	flag, size, err := r.next()
	if err != nil {
		return c.broken(err)
	}
	if flag != itemMessage && flag != itemCompressed {
		return status.Errorf(codes.Internal, "%v: an item of kind %d", errMalformed, flag)
	}
	if err := c.options.readMessage(&r, flag, size, "", msg); err != nil {
		return c.broken(err)
	}
	return c.receiveEnd(r)
}

// receiveEnd reads what is behind the only message: nothing.
func (c *directCall) receiveEnd(r items) error {
	switch _, _, err := r.next(); err {
	case io.EOF:
		return nil
	case nil:
		return status.Error(codes.Internal, "cardinality violation: received multiple request messages for non-client-streaming RPC")
	default:
		return c.broken(err)
	}
}

// broken makes the error of a call of one that its stream has.
func (c *directCall) broken(err error) error {
	switch ended := c.Err(); {
	case isStatus(err):
		return err
	case ended != nil:
		return status.FromContextError(ended).Err()
	case err == io.EOF:
		return status.Error(codes.Internal, "cardinality violation: received no request message from non-client-streaming RPC")
	}
	return status.Error(codes.Unavailable, err.Error())
}

// finish ends the call with what the method has returned. reply is nil of one with streams.
func (c *directCall) finish(reply any, err error) {
	c.sending.Lock()
	defer c.sending.Unlock()
	buffer := buffers.Get().(*[]byte)
	b, ok := c.begin(append((*buffer)[:0], c.held...), true)
	if !ok {
		return
	}
	if err == nil && c.method.unary != nil {
		b, err = c.sendReply(b, reply)
	}
	b = c.appendTrailer(b, err)
	_, _ = c.stream.WriteLast(b) // The call's context says why it fails.
	if cap(b) <= keepBuffer {
		*buffer = b
		buffers.Put(buffer)
	}
}

// begin appends the header if it is still to be sent. It reports false if the call has
// ended, which it does now if ends is set.
func (c *directCall) begin(b []byte, ends bool) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return b, false
	}
	if !c.begun && len(c.header) > 0 {
		b = appendItem(b, itemHeader, c.header)
	}
	c.begun, c.ended = true, ends
	return b, true
}

// sendReply appends a reply to what is to be sent, or sends both if it is long.
func (c *directCall) sendReply(b []byte, reply any) ([]byte, error) {
	b, long, err := c.options.appendMessage(b, reply)
	if err != nil || long == nil {
		return b, err
	}
	defer long.Free()
	_, _ = c.stream.Write(b)
	for _, piece := range long {
		_, _ = c.stream.Write(piece.ReadOnlyData())
	}
	return b[:0], nil
}

// appendTrailer appends what a call ends with. The error is a status, of a context, or any.
func (c *directCall) appendTrailer(b []byte, err error) []byte {
	start := len(b)
	b = beginItem(b, itemTrailer)
	if err == nil {
		b = append(b, byte(codes.OK), 0, 0)
	} else {
		s, ok := status.FromError(err)
		if !ok {
			s = status.FromContextError(err)
		}
		var details []byte
		if p := s.Proto(); len(p.GetDetails()) > 0 {
			details, _ = protobuf.Marshal(p) // Without them it is the same status.
		}
		b = binary.AppendUvarint(b, uint64(s.Code()))
		b = appendText(appendText(b, s.Message()), details)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b = appendMetadata(b, c.trailer)
	endItem(b, start)
	return b
}

// appendItem appends metadata as an item.
func appendItem(b []byte, flag byte, md metadata.MD) []byte {
	start := len(b)
	b = appendMetadata(beginItem(b, flag), md)
	endItem(b, start)
	return b
}

func appendMetadata(b []byte, md metadata.MD) []byte {
	pairs := 0
	for key, values := range md {
		if !isReserved(key) {
			pairs += len(values)
		}
	}
	b = binary.AppendUvarint(b, uint64(pairs))
	for key, values := range md {
		if isReserved(key) {
			continue
		}
		for _, value := range values {
			b = appendText(appendText(b, key), value)
		}
	}
	return b
}

// isReserved reports whether metadata of a method have a key that is gRPC's own.
func isReserved(key string) bool {
	switch key {
	case "content-type", "user-agent", "te":
		return true
	}
	return strings.HasPrefix(key, "grpc-")
}

// errLateHeader has the words of grpc-go.
var errLateHeader = errors.New("transport: SendHeader called multiple times")

// Method implements grpc.ServerTransportStream.
func (c *directCall) Method() string { return c.method.name }

// SetHeader implements grpc.ServerTransportStream.
func (c *directCall) SetHeader(md metadata.MD) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setHeader(md)
}

func (c *directCall) setHeader(md metadata.MD) error {
	if c.begun || c.ended {
		return errLateHeader
	}
	if len(md) > 0 {
		c.header = metadata.Join(c.header, md)
	}
	return nil
}

// SendHeader implements grpc.ServerTransportStream.
func (c *directCall) SendHeader(md metadata.MD) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	c.mu.Lock()
	err := c.setHeader(md)
	c.begun = true
	c.mu.Unlock()
	if err != nil {
		return err
	}
	if _, err := c.stream.Write(appendItem(nil, itemHeader, c.header)); err != nil {
		return c.broken(err)
	}
	return nil
}

// SetTrailer implements grpc.ServerTransportStream.
func (c *directCall) SetTrailer(md metadata.MD) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(md) > 0 {
		c.trailer = metadata.Join(c.trailer, md)
	}
	return nil
}

// WriteStatus ends the call in the place of a method that does not return.
func (c *directCall) WriteStatus(s *status.Status) error {
	c.finish(nil, s.Err())
	return nil
}
