// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"bufio"
	"encoding/gob"
	"fmt"
	"io"
	"net/rpc"
	"sync"
)

// These codecs speak the gob encoding of net/rpc, byte for byte. They exist
// because the standard library's cannot say what went wrong: a lost connection
// looks like any other error to the caller, and calls in flight cannot be
// counted.

// callCounter counts the calls that a server has read and not yet answered.
type callCounter interface {
	begin()
	end()
}

// gobStream is one side's gob encoding of a connection.
type gobStream struct {
	conn io.ReadWriteCloser
	dec  *gob.Decoder
	enc  *gob.Encoder
	out  *bufio.Writer
	// broken is the first error of the connection itself. It tells a failed
	// connection from a value that gob cannot encode.
	broken error
}

func newGobStream(conn io.ReadWriteCloser) *gobStream {
	s := &gobStream{conn: conn}
	s.out = bufio.NewWriter(writerFunc(s.write))
	s.enc = gob.NewEncoder(s.out)
	s.dec = gob.NewDecoder(bufio.NewReader(conn))
	return s
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func (s *gobStream) write(p []byte) (int, error) {
	n, err := s.conn.Write(p)
	if err != nil && s.broken == nil {
		s.broken = err
	}
	return n, err
}

// send encodes header and body and writes them in one go.
func (s *gobStream) send(header, body any) error {
	if err := s.enc.Encode(header); err != nil {
		return err
	}
	if err := s.enc.Encode(body); err != nil {
		if s.broken != nil {
			return err
		}
		// The header is in the buffer already. An empty body keeps the stream
		// in step: the other side answers an error to nobody.
		_ = s.enc.Encode(struct{}{})
		_ = s.out.Flush()
		return err
	}
	return s.out.Flush()
}

// clientCodec is the calling side. net/rpc serializes writes and reads.
type clientCodec struct {
	*gobStream
	// why returns the reason that the session ended, or nil.
	why func() error
}

// newNetRPCClient returns a client whose calls fail with [ErrConnectionLost]
// when conn fails. why may be nil.
func newNetRPCClient(conn io.ReadWriteCloser, why func() error) *rpc.Client {
	return rpc.NewClientWithCodec(&clientCodec{gobStream: newGobStream(conn), why: why})
}

func (c *clientCodec) WriteRequest(r *rpc.Request, body any) error {
	err := c.send(r, body)
	if err != nil && c.broken != nil {
		return c.lost(err)
	}
	return err
}

func (c *clientCodec) ReadResponseHeader(r *rpc.Response) error { return c.lost(c.dec.Decode(r)) }

func (c *clientCodec) ReadResponseBody(body any) error {
	// An error here is a body of another type than the caller's: net/rpc gives
	// it to that call, and reads on.
	return c.dec.Decode(body)
}

func (c *clientCodec) Close() error { return c.conn.Close() }

// lost turns an error of the stream into one that callers can recognize, with
// the session's own reason where it has one: "no answer to a ping" says more
// than "EOF".
func (c *clientCodec) lost(err error) error {
	if err == nil {
		return nil
	}
	return lostBecause(c.why, err)
}

// lostBecause prefers the session's own reason, if it has one, to what the
// connection said. why may be nil.
func lostBecause(why func() error, err error) error {
	if why != nil {
		if reason := why(); reason != nil {
			err = reason
		}
	}
	return connectionLost(err)
}

// serverCodec is the answering side.
type serverCodec struct {
	*gobStream
	calls callCounter
	// answered, if not nil, is called with the method once its answer is
	// written, or cannot be.
	answered func(method string)
	close    sync.Once
}

func (c *serverCodec) ReadRequestHeader(r *rpc.Request) error {
	if err := c.dec.Decode(r); err != nil {
		return err
	}
	if c.calls != nil {
		c.calls.begin()
	}
	return nil
}

func (c *serverCodec) ReadRequestBody(body any) error { return c.dec.Decode(body) }

func (c *serverCodec) WriteResponse(r *rpc.Response, body any) error {
	if c.calls != nil {
		defer c.calls.end()
	}
	if c.answered != nil {
		defer c.answered(r.ServiceMethod)
	}
	if err := c.send(r, body); err != nil {
		// The caller would wait for this answer for ever.
		_ = c.Close()
		return fmt.Errorf("answer %s: %w", r.ServiceMethod, err)
	}
	return nil
}

func (c *serverCodec) Close() error {
	var err error
	c.close.Do(func() { err = c.conn.Close() })
	return err
}

// serveNetRPC serves the exported methods of v under name until conn ends.
func serveNetRPC(conn io.ReadWriteCloser, name string, v any, calls callCounter) {
	newNetRPCServer(name, v).ServeCodec(&serverCodec{gobStream: newGobStream(conn), calls: calls})
}

// newNetRPCServer returns a server of the exported methods of v under name.
func newNetRPCServer(name string, v any) *rpc.Server {
	server := rpc.NewServer()
	if err := server.RegisterName(name, v); err != nil {
		// v has no method in the form that net/rpc wants. Its author learns of
		// it from the error of the first call.
		server = rpc.NewServer()
	}
	return server
}
