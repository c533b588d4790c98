// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"encoding/gob"
	"errors"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"io"
	"net/rpc"

	"github.com/hashicorp/go-plugin/internal/rpcmux"
)

// What is here speaks the gob encoding of net/rpc, byte for byte. It exists
// because the standard library's cannot say what went wrong: a lost connection
// looks like any other error to the caller, calls in flight cannot be counted,
// and a value that cannot be encoded ends the connection.

// callCounter counts the calls that a server has read and not yet answered.
type callCounter interface {
	Begin()
	End()
}

// writeTo writes what was added.
func (e *pairEncoder) writeTo(conn io.Writer) error {
	_, err := conn.Write(e.out)
	e.out = e.out[:0]
	if cap(e.out) > streamBuffer {
		e.out = nil
	}
	return err
}

// clientCodec is the calling side. net/rpc serializes writes and reads.
type clientCodec struct {
	conn io.ReadWriteCloser
	dec  *gob.Decoder
	enc  *pairEncoder
	// why returns the reason that the session ended, or nil.
	why func() error
}

// newNetRPCClient returns a client whose calls fail with [ErrConnectionLost]
// when conn fails. why may be nil, and maxMessage zero for no bound.
func newNetRPCClient(conn io.ReadWriteCloser, why func() error, maxMessage int) *rpc.Client {
	dec, enc := gob.NewDecoder(boundGob(conn, maxMessage)), newPairEncoder(&rpc.Request{}, maxMessage)
	return rpc.NewClientWithCodec(&clientCodec{conn: conn, dec: dec, enc: enc, why: why})
}

// WriteRequest implements rpc.ClientCodec. Nothing was sent if the arguments
// cannot be encoded, and the client can be used on.
func (c *clientCodec) WriteRequest(r *rpc.Request, body any) error {
	if err := c.enc.add(r, body); err != nil {
		return err
	}
	return c.lost(c.enc.writeTo(c.conn))
}

func (c *clientCodec) ReadResponseHeader(r *rpc.Response) error { return c.lost(c.dec.Decode(r)) }

// ReadResponseBody implements rpc.ClientCodec. An rpc.Client does not read on
// after an error.
func (c *clientCodec) ReadResponseBody(body any) error {
	err := rpcmux.Decode(c.dec, body)
	if err == nil {
		return nil
	}
	_ = c.conn.Close()
	return c.lost(&unreadableReply{err})
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

// unreadableReply is why a stub of net/rpc ends: rpc.Client gives up at a reply
// that is of another type than the caller's, or holds one that the host has not
// registered with gob. The other calls of the stub lose their answers.
type unreadableReply struct{ err error }

func (e *unreadableReply) Error() string {
	return "the stub ends with a reply that cannot be decoded: " + e.err.Error()
}

func (e *unreadableReply) Unwrap() error { return e.err }

// lostBecause prefers the session's own reason, if it has one, to what the
// connection said. why may be nil.
func lostBecause(why func() error, err error) error {
	if unreadable := (*unreadableReply)(nil); why != nil && !errors.As(err, &unreadable) {
		if reason := why(); reason != nil {
			err = reason
		}
	}
	return peererr.Lost(err)
}
