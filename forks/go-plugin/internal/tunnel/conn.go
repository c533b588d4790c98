// SPDX-License-Identifier: MPL-2.0

package tunnel

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// maxChunk is how much one message carries at most. It keeps the frames of a
// tunnel small enough that other calls on the connection are not held up.
const maxChunk = 32 << 10

// Conn is one end of a byte stream inside a gRPC stream. It has deadlines and
// half close, as a TCP connection has, and like there Close does not lose what
// was written before it. Its owner closes it.
type Conn struct {
	addr rendezvous.Addr

	// The owner holds one end of each pipe, a pump the other: pipes bring the
	// deadlines that a gRPC stream does not have.
	incoming, fromPeer net.Conn
	outgoing, toPeer   net.Conn

	closed  atomic.Bool
	left    chan struct{} // closed by Close
	onClose func()        // may be nil
	ended   chan struct{} // closed when the stream has ended
	broken  atomic.Pointer[error]
}

// chunkStream is a gRPC stream of either side.
type chunkStream interface {
	Send(*pluginpb.Chunk) error
	Recv() (*pluginpb.Chunk, error)
}

func newConn(id uint32) *Conn {
	c := &Conn{addr: rendezvous.Addr(id), left: make(chan struct{}), ended: make(chan struct{})}
	c.incoming, c.fromPeer = net.Pipe()
	c.outgoing, c.toPeer = net.Pipe()
	return c
}

// receive moves what arrives on s to the owner until the stream has ended, or
// until ctx, which is the stream's, has.
func (c *Conn) receive(ctx context.Context, s chunkStream) {
	defer close(c.ended)
	// What would be written from now on reaches no reader.
	defer c.toPeer.Close()
	defer c.fromPeer.Close()
	// The owner may never read, so writing to it must end as well.
	stop := context.AfterFunc(ctx, func() { c.fail(context.Cause(ctx)) })
	defer stop()
	for {
		chunk, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			c.fail(err)
			return
		}
		if data := chunk.GetData(); len(data) > 0 {
			// Fails when the owner has closed: then the rest is dropped, so
			// that the peer is not stuck in writing it.
			_, _ = c.fromPeer.Write(data)
		}
		if chunk.GetEnd() {
			_ = c.fromPeer.Close()
		}
	}
}

// fail makes err what the owner's reads and writes return.
func (c *Conn) fail(err error) {
	c.broken.CompareAndSwap(nil, &err)
	_ = c.fromPeer.Close()
}

// send moves what the owner writes to s until the owner has closed or the peer
// has.
func (c *Conn) send(s chunkStream) {
	defer c.toPeer.Close()
	buf := make([]byte, maxChunk)
	for {
		n, err := c.toPeer.Read(buf)
		if n > 0 && s.Send(&pluginpb.Chunk{Data: buf[:n]}) != nil {
			return
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, io.EOF) || c.closed.Load() {
			return
		}
		// Half closed. The stream's own end says that both halves are.
		if s.Send(&pluginpb.Chunk{End: true}) == nil {
			select {
			case <-c.left:
			case <-c.ended:
			}
		}
		return
	}
}

// Read implements net.Conn. It returns io.EOF when the peer has closed in
// order, and the stream's error when it broke.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.incoming.Read(p)
	if err != nil {
		err = c.explain("read", err)
	}
	return n, err
}

// Write implements net.Conn. A nil error means that the data is on its way, not
// that it arrived.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.outgoing.Write(p)
	if err != nil {
		err = c.explain("write", err)
	}
	return n, err
}

// explain says why a pipe that was closed was closed.
func (c *Conn) explain(op string, err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrClosedPipe) {
		return err
	}
	if c.closed.Load() {
		return &net.OpError{Op: op, Net: c.addr.Network(), Addr: c.addr, Err: net.ErrClosed}
	}
	if broken := c.broken.Load(); broken != nil {
		return &net.OpError{Op: op, Net: c.addr.Network(), Addr: c.addr, Err: *broken}
	}
	return err
}

// Close ends both directions. What was written before still reaches the peer.
func (c *Conn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	close(c.left)
	if c.onClose != nil {
		c.onClose()
	}
	// The timer of a deadline would keep the pipes until it fires.
	_ = c.SetDeadline(time.Time{})
	return errors.Join(c.incoming.Close(), c.outgoing.Close())
}

// CloseWrite tells the peer that nothing more will be written. Reading goes on.
func (c *Conn) CloseWrite() error { return c.outgoing.Close() }

// LocalAddr returns the id as a [rendezvous.Addr].
func (c *Conn) LocalAddr() net.Addr { return c.addr }

// RemoteAddr returns the same.
func (c *Conn) RemoteAddr() net.Addr { return c.addr }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.incoming.SetReadDeadline(t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.outgoing.SetWriteDeadline(t) }
