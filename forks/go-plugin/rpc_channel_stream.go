// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"encoding/gob"
	"io"
	"net"
	"net/rpc"
	"reflect"
	"sync"

	"github.com/hashicorp/go-plugin/internal/rpcmux"
)

// streamBuffer is how many bytes may wait for the stream before a channel is
// full.
const streamBuffer = 256 << 10

// streamChannel is an RPCChannel on a connection that speaks net/rpc with gob,
// as every go-plugin peer does.
type streamChannel struct {
	conn   net.Conn
	why    func() error
	dec    *gob.Decoder
	source *rememberingReader

	mu      sync.Mutex
	enc     *pairEncoder
	header  rpc.Request // encoded last; kept for its memory
	spare   []byte
	taken   uint64
	writing bool // a goroutine is in write
	broken  error
	changed chan struct{}
}

// NewRPCChannel returns a channel on a connection that speaks net/rpc with gob,
// as rpc.ServeConn does. The channel owns the connection.
func NewRPCChannel(conn net.Conn) RPCChannel { return newStreamChannel(conn, nil, 0) }

func newStreamChannel(conn net.Conn, why func() error, maxMessage int) *streamChannel {
	c := &streamChannel{conn: conn, why: why, source: &rememberingReader{Reader: conn}, enc: newPairEncoder(&rpc.Request{}, maxMessage)}
	c.dec = gob.NewDecoder(boundGob(c.source, maxMessage))
	return c
}

// Send implements RPCChannel.
func (c *streamChannel) Send(method string, number uint64, args any) (end uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.broken != nil:
		return 0, c.broken
	case len(c.enc.out) >= streamBuffer:
		return 0, ErrChannelFull
	}
	c.header = rpc.Request{ServiceMethod: method, Seq: number}
	if err := c.enc.add(&c.header, args); err != nil {
		if c.enc.broken != nil { // no other request can be sent: whoever reads learns it, and may open another channel
			c.broken = lostBecause(c.why, c.enc.broken)
			_ = c.conn.Close()
		}
		return 0, &rpcmux.EncodeError{Err: err}
	}
	if !c.writing {
		c.writing = true
		go c.write()
	}
	return c.taken + uint64(len(c.enc.out)), nil
}

// write gives the connection what has collected, until there is no more.
func (c *streamChannel) write() {
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
		c.wakeLocked()
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

func (c *streamChannel) wakeLocked() {
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// fail makes Send fail from now on, and returns the error that it will give.
func (c *streamChannel) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		c.broken = lostBecause(c.why, err)
		c.wakeLocked()
	}
	return c.broken
}

// Taken implements RPCChannel.
func (c *streamChannel) Taken() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.taken
}

// Await implements RPCChannel.
func (c *streamChannel) Await(ctx context.Context) error {
	for {
		c.mu.Lock()
		if c.broken != nil || len(c.enc.out) < streamBuffer {
			defer c.mu.Unlock()
			return c.broken
		}
		if c.changed == nil {
			c.changed = make(chan struct{})
		}
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ReadHeader implements RPCChannel.
func (c *streamChannel) ReadHeader(r *rpc.Response) error {
	if err := c.dec.Decode(r); err != nil {
		return c.fail(err) // or why it has failed before
	}
	return nil
}

// ReadReply implements RPCChannel.
func (c *streamChannel) ReadReply(target reflect.Value) error {
	err := rpcmux.DecodeValue(c.dec, target)
	if err != nil && c.source.err != nil {
		return c.fail(c.source.err)
	}
	if err != nil && target.IsValid() && losesStep(target.Type()) {
		_ = c.fail(&unreadableReply{err})
		_ = c.conn.Close()
	}
	return err
}

// Close implements RPCChannel.
func (c *streamChannel) Close() error {
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
