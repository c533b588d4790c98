// SPDX-License-Identifier: MPL-2.0

package api

import (
	"container/list"
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// slowReader is how long one write of an answer may take.
	slowReader = 10 * time.Second
	// maxUnread is how many bytes of answers may wait for readers, all connections
	// together. An answer of the state of 1,000 plugins has about one million.
	maxUnread = 64 << 20
)

// connections bounds what clients can hold of the process: descriptors, and answers
// that they do not read. What goes beyond a bound ends the connection on which no
// request began, and no call ended, for the longest time, so a client that sends
// nothing or reads nothing keeps nobody out, and least of all a health probe. A
// connection that has a call at work or an event stream is spared: those have bounds of
// their own.
type connections struct {
	max       int
	maxBodies int64

	mu     sync.Mutex
	open   list.List     // of *connection, the one that was in use last at its back
	unread int           // bytes
	bodies int64         // bytes
	none   chan struct{} // closed once open is empty; nil if nobody waits for that
}

// connection is one client's.
type connection struct {
	net.Conn
	all *connections

	// What follows is guarded by all.mu.
	place  *list.Element // nil once it is closed
	busy   int           // calls at work and event streams
	unread int           // bytes of the answer that is being written
	body   *body         // that is being read, or nil
}

// listen makes the bound hold for what l accepts.
func (c *connections) listen(l net.Listener) net.Listener { return boundListener{l, c} }

type boundListener struct {
	net.Listener
	all *connections
}

// Accept implements net.Listener.
func (l boundListener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.all.add(raw), nil
}

func (c *connections) add(raw net.Conn) *connection {
	conn := &connection{Conn: raw, all: c}
	c.mu.Lock()
	conn.place = c.open.PushBack(conn)
	var victim *connection
	if c.open.Len() > c.max {
		victim = c.oldest(func(o *connection) bool { return o != conn })
	}
	c.mu.Unlock()
	if victim != nil {
		_ = victim.Close()
	}
	return conn
}

// oldest finds the connection to end among those that match. c.mu is held.
func (c *connections) oldest(match func(*connection) bool) *connection {
	for e := c.open.Front(); e != nil; e = e.Next() {
		if o := e.Value.(*connection); o.busy == 0 && match(o) {
			return o
		}
	}
	return nil
}

// changed is the http.Server's ConnState: a request begins.
func (c *connections) changed(raw net.Conn, state http.ConnState) {
	conn, ok := raw.(*connection)
	if !ok || state != http.StateActive {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	conn.used()
}

// used notes that the connection was in use just now. all.mu is held.
func (c *connection) used() {
	if c.place != nil {
		c.all.open.MoveToBack(c.place)
	}
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.all.mu.Lock()
	if c.place != nil {
		c.all.open.Remove(c.place)
		c.place = nil
		c.all.tellGone()
	}
	c.all.mu.Unlock()
	return c.Conn.Close()
}

// keep spares the connection until the function that it gives is called.
func (c *connection) keep() (done func()) {
	c.all.mu.Lock()
	c.busy++
	c.all.mu.Unlock()
	return func() {
		c.all.mu.Lock()
		defer c.all.mu.Unlock()
		c.busy--
		c.used()
	}
}

// writes counts n bytes until the function that it gives is called.
func (c *connection) writes(n int) (done func()) {
	var victim *connection
	c.all.mu.Lock()
	c.unread += n
	c.all.unread += n
	if c.all.unread > maxUnread {
		victim = c.all.oldest(func(o *connection) bool { return o != c && o.unread > 0 })
	}
	c.all.mu.Unlock()
	if victim != nil {
		_ = victim.Close() // its write ends, and gives its bytes back
	}
	return func() {
		c.all.mu.Lock()
		c.unread -= n
		c.all.unread -= n
		c.all.mu.Unlock()
	}
}

type connectionKey struct{}

// withConnection is the http.Server's ConnContext.
func withConnection(ctx context.Context, raw net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, raw)
}

// connectionOf gives the connection of a request, which bound has seen.
func connectionOf(r *http.Request) *connection {
	return r.Context().Value(connectionKey{}).(*connection)
}

// bound gives every write of an answer its deadline, and counts its bytes. A request of
// somebody else's server has a connection that counts and is never closed for others.
func (c *connections) bound(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ours := r.Context().Value(connectionKey{}).(*connection); !ours {
			r = r.WithContext(withConnection(r.Context(), &connection{all: c}))
		}
		answer := &answerWriter{w, http.NewResponseController(w), connectionOf(r)}
		// The last answer's deadline would end the "100 Continue" of this request.
		if err := answer.bound(); err != nil {
			return
		}
		next.ServeHTTP(answer, r)
	})
}

// answerWriter is a ResponseWriter whose writes end.
type answerWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	conn    *connection
}

// bound sets the deadline of what is written next. A writer of somebody else's may know
// none.
func (a *answerWriter) bound() error {
	err := a.control.SetWriteDeadline(time.Now().Add(slowReader))
	if errors.Is(err, http.ErrNotSupported) {
		return nil
	}
	return err
}

// Write implements io.Writer. What it leaves in the server's buffer is sent under the
// same deadline.
func (a *answerWriter) Write(p []byte) (int, error) {
	if err := a.bound(); err != nil {
		return 0, err
	}
	defer a.conn.writes(len(p))()
	return a.ResponseWriter.Write(p)
}

// Unwrap lets a ResponseController find the server's own writer.
func (a *answerWriter) Unwrap() http.ResponseWriter { return a.ResponseWriter }
