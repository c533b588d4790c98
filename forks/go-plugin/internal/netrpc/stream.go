// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"context"
	"encoding/gob"
	"io"
	"net"
	"net/rpc"
	"reflect"
	"sync"

	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// streamBuffer is how many bytes may wait for the stream before a channel is
// full.
const streamBuffer = 256 << 10

// stream is a Channel on a connection that speaks net/rpc with gob, as every go-plugin
// peer does.
type stream struct {
	conn   net.Conn
	cause  func() error // of the session's end; may be nil
	waits  bool         // Send waits for the connection
	dec    *gob.Decoder
	source *rememberingReader

	mu       sync.Mutex
	enc      *pairEncoder
	header   rpc.Request // encoded last; kept for its memory
	carrying bool        // see carry
	spare    []byte
	taken    uint64
	writing  bool // a goroutine is in write
	broken   error
	changed  wait.Condition // room was made, or broken was set
}

// NewChannel returns a channel on a connection that speaks net/rpc with gob, as
// rpc.ServeConn does. The channel owns the connection.
func NewChannel(conn net.Conn) Channel { return newStream(conn, nil, 0, false) }

func newStream(conn net.Conn, cause func() error, maxMessage int, waits bool) *stream {
	c := &stream{conn: conn, cause: cause, waits: waits, source: &rememberingReader{Reader: conn}, enc: newPairEncoder(&rpc.Request{}, maxMessage)}
	c.dec = gob.NewDecoder(boundGob(c.source, maxMessage))
	return c
}

// Send sends no more of r than net/rpc has a place for, unless the stream carries the rest.
func (c *stream) Send(r mux.Request, args any) (end uint64, err error) {
	end, isFirst, err := c.queue(r, args)
	switch {
	case !isFirst:
	case c.waits:
		c.write()
	default:
		go c.write()
	}
	return end, err
}

// queue encodes a request. isFirst reports that no goroutine is writing.
func (c *stream) queue(r mux.Request, args any) (end uint64, isFirst bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.broken != nil:
		return 0, false, c.broken
	case len(c.enc.out) >= streamBuffer:
		return 0, false, mux.ErrFull
	}
	header, err := c.heading(r)
	if err != nil {
		return 0, false, &mux.EncodeError{Err: err}
	}
	if err := c.enc.add(header, args); err != nil {
		if c.enc.broken != nil {
			// No other request can be sent. The channel's reader learns it.
			_ = c.failLocked(c.enc.broken)
			_ = c.conn.Close()
		}
		return 0, false, &mux.EncodeError{Err: err}
	}
	isFirst = !c.writing
	c.writing = true
	return c.taken + uint64(len(c.enc.out)), isFirst, nil
}

// write gives the connection what has collected, until there is no more.
func (c *stream) write() {
	for {
		c.mu.Lock()
		if len(c.enc.out) == 0 || c.broken != nil {
			c.writing = false
			c.mu.Unlock()
			return
		}
		batch := c.enc.out
		c.enc.out, c.spare = c.spare[:0], nil
		c.taken += uint64(len(batch))
		c.changed.Broadcast()
		c.mu.Unlock()

		if _, err := c.conn.Write(batch); err != nil {
			_ = c.fail(err)
			_ = c.conn.Close()
			return
		}
		if cap(batch) <= streamBuffer {
			c.mu.Lock()
			c.spare = batch
			c.mu.Unlock()
		}
	}
}

// fail makes Send fail from now on, and returns the error that it will give.
func (c *stream) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failLocked(err)
}

func (c *stream) failLocked(err error) error {
	if c.broken == nil {
		c.broken = lost(c.cause, err)
		c.changed.Broadcast()
	}
	return c.broken
}

func (c *stream) Taken() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken
}

func (c *stream) Await(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	hasRoom := func() bool { return c.broken != nil || len(c.enc.out) < streamBuffer }
	if err := c.changed.Until(ctx, &c.mu, nil, hasRoom); err != nil {
		return err
	}
	return c.broken
}

func (c *stream) ReadHeader(r *rpc.Response) error {
	if err := mux.Decode(c.dec, r); err != nil {
		return c.fail(err) // or why it has failed before
	}
	return nil
}

func (c *stream) ReadReply(target reflect.Value) error {
	err := mux.DecodeValue(c.dec, target)
	if err != nil && c.source.err != nil {
		return c.fail(c.source.err)
	}
	if err != nil && target.IsValid() && mux.LosesStep(target.Type()) {
		_ = c.fail(&unreadableReply{err})
		_ = c.conn.Close()
	}
	return err
}

// DetachReply implements Channel. A reply is one piece with those after it.
func (*stream) DetachReply() (decode func(target reflect.Value) error) { return nil }

func (c *stream) Close() error {
	_ = c.fail(net.ErrClosed)
	return c.conn.Close()
}

// rememberingReader remembers its error: gob does not say whether the
// connection failed or the value did.
type rememberingReader struct {
	io.Reader
	err error
}

func (r *rememberingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		r.err = err
	}
	return n, err
}
