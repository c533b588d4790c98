// SPDX-License-Identifier: MPL-2.0

package relay

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// ownStreams are the streams of a net/rpc session that the relay has itself on either
// side: control, stdout and stderr, which every host opens first. Ids are given in order,
// and a client's are odd.
const ownStreams = 5

// isOwn reports whether a frame is for the relay and not for the other side.
func isOwn(h header) bool { return h.stream != 0 && h.stream%2 == 1 && h.stream <= ownStreams }

// maxOwn bounds what has come for the relay's own streams and was not read yet, in bytes:
// the windows of three streams, and frames without data.
const maxOwn = 1 << 20

// side is one of the two connections of a session.
type side struct {
	conn net.Conn
	own  *ownConn

	writing sync.Mutex // whole frames at a time
}

func newSide(conn net.Conn) *side {
	s := &side{conn: conn}
	s.own = &ownConn{side: s}
	s.own.came.L = &s.own.mu
	return s
}

// write writes whole frames.
func (s *side) write(frames []byte) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_, err := s.conn.Write(frames)
	return err
}

// ownConn is what the relay's own yamux session on one side reads and writes: the frames
// of its streams, between those of the others. Close closes the side's connection.
type ownConn struct {
	side *side

	mu      sync.Mutex
	came    sync.Cond // there is something to read, or it is closed
	unread  []byte
	closed  bool
	partial []byte // of a frame that is being written
}

// deliver gives the session a frame that has come. It does not wait.
func (c *ownConn) deliver(frame []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.unread)+len(frame) > maxOwn {
		return fmt.Errorf("more than %d bytes for the session's own streams", maxOwn)
	}
	c.unread = append(c.unread, frame...)
	c.came.Broadcast()
	return nil
}

// Read implements io.Reader.
func (c *ownConn) Read(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.unread) == 0 {
		if c.closed {
			return 0, io.EOF
		}
		c.came.Wait()
	}
	n := copy(p, c.unread)
	if c.unread = c.unread[n:]; len(c.unread) == 0 {
		c.unread = nil
	}
	return n, nil
}

// Write implements io.Writer. yamux calls it for parts of frames, one at a time.
func (c *ownConn) Write(p []byte) (int, error) {
	c.partial = append(c.partial, p...)
	whole := 0
	for rest := c.partial; len(rest) >= headerSize; rest = c.partial[whole:] {
		h, err := parseHeader(rest)
		if err != nil {
			return 0, err
		}
		if len(rest) < h.size() {
			break
		}
		whole += h.size()
	}
	if whole == 0 {
		return len(p), nil
	}
	if err := c.side.write(c.partial[:whole]); err != nil {
		return 0, err
	}
	c.partial = append(c.partial[:0], c.partial[whole:]...)
	return len(p), nil
}

// Close implements io.Closer.
func (c *ownConn) Close() error {
	c.end()
	return c.side.conn.Close()
}

// end makes Read end once all was read.
func (c *ownConn) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.came.Broadcast()
}
