// SPDX-License-Identifier: MPL-2.0

package admission

import (
	"container/list"
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// connBound bounds the connections of unknown peers. Beyond it an old one is closed: a peer
// needs a few round trips, so what is old has most likely been left, and a flood cannot lock
// others out.
type connBound struct {
	mu    sync.Mutex
	limit int
	conns *list.List // of *pendingConn, oldest first
}

// oldShare is the part of a bound, counted from the oldest connection on, among which one is
// looked for that waits for its peer: an eighth. So none is closed before as many as the
// other seven have come after it.
const oldShare = 8

func newConnBound(limit int) *connBound { return &connBound{limit: limit, conns: list.New()} }

// enter counts conn in until leave is called. Who speaks with the peer reads from what it
// returns.
func (b *connBound) enter(conn net.Conn) *pendingConn {
	c := &pendingConn{Conn: conn, bound: b}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conns.Len() >= b.limit {
		goes := b.goesLocked()
		b.conns.Remove(goes)
		_ = goes.Value.(*pendingConn).Conn.Close()
	}
	c.entry = b.conns.PushBack(c)
	return c
}

// goesLocked returns which connection is closed for another: of the older ones the oldest
// that waits for its peer. What waits for this process, which is slow under a flood, is not
// to pay for that. If all of them do, the oldest goes.
func (b *connBound) goesLocked() *list.Element {
	oldest := b.conns.Front()
	at := oldest
	for range max(b.limit/oldShare, 1) {
		if at.Value.(*pendingConn).awaitsPeer() {
			return at
		}
		if at = at.Next(); at == nil {
			break
		}
	}
	return oldest
}

// pendingConn is a connection of an unknown peer. It knows whose turn it is.
type pendingConn struct {
	net.Conn
	bound   *connBound
	entry   *list.Element
	reading atomic.Bool
}

// leave takes the connection out of its bound. It may be called again.
func (c *pendingConn) leave() {
	c.bound.mu.Lock()
	defer c.bound.mu.Unlock()
	c.bound.conns.Remove(c.entry)
}

// Read implements net.Conn.
func (c *pendingConn) Read(p []byte) (int, error) {
	c.reading.Store(true)
	defer c.reading.Store(false)
	return c.Conn.Read(p)
}

// awaitsPeer reports whether nothing goes on before the peer sends more. What it has sent
// may have come, and whoever reads it may not have had the processor since.
func (c *pendingConn) awaitsPeer() bool { return c.reading.Load() && !hasUnread(c.Conn) }

// CloseWrite shuts down the writing side of the connection beneath, if it can.
func (c *pendingConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// NetConn returns the connection beneath.
func (c *pendingConn) NetConn() net.Conn { return c.Conn }

// WritesTo returns the connection that gets what is written, as it is.
func (c *pendingConn) WritesTo() net.Conn { return c.Conn }
