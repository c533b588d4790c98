// SPDX-License-Identifier: MPL-2.0

package so

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/conn"
)

// server serves one session. It is a network plugin like any other, only that
// its one connection was never dialled.
type server struct {
	conn  *pipeEnd
	stop  context.CancelFunc
	ended chan struct{}
	err   error // valid once ended is closed
}

func startServer(conn *pipeEnd, config *plugin.ServeConfig) *server {
	ctx, stop := context.WithCancel(context.Background())
	s := &server{conn: conn, stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.err = plugin.ServeListener(ctx, newOneConn(conn), config)
	}()
	return s
}

// close ends the server, whose peer has hung up or is about to, and returns when
// it has ended. It returns cause, and what went wrong in the server. It may be
// called again.
func (s *server) close(cause error) error {
	// A server that is stopped with a session waits for silence in it.
	late := time.NewTimer(drainTimeout)
	defer late.Stop()
	select {
	case <-s.conn.closed:
	case <-late.C:
	}
	s.stop()
	<-s.ended
	return errors.Join(cause, s.err)
}

// permanentRefusal marks the refusals that last as permanent.
func permanentRefusal(err error) error {
	if refused, ok := errors.AsType[*plugin.RefusedError](err); ok && !refused.Temporary() {
		return conn.Permanent(err)
	}
	return err
}

// oneConn is a listener to which exactly one connection comes.
type oneConn struct {
	conn   chan net.Conn
	addr   net.Addr
	closed chan struct{}
	once   sync.Once
}

func newOneConn(conn net.Conn) *oneConn {
	l := &oneConn{conn: make(chan net.Conn, 1), addr: conn.LocalAddr(), closed: make(chan struct{})}
	l.conn <- conn
	return l
}

// Accept implements net.Listener.
func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. A connection that was not accepted is closed.
func (l *oneConn) Close() error {
	l.once.Do(func() {
		close(l.closed)
		select {
		case conn := <-l.conn:
			_ = conn.Close()
		default:
		}
	})
	return nil
}

// Addr implements net.Listener.
func (l *oneConn) Addr() net.Addr { return l.addr }

// pipeEnd is an end of a connection within this process, which carries the name
// of the file that is at its other end.
type pipeEnd struct {
	net.Conn
	addr   fileAddr
	once   sync.Once
	closed chan struct{}
}

func newPipe(path string) (here, there *pipeEnd) {
	a, b := net.Pipe()
	return newPipeEnd(a, path), newPipeEnd(b, path)
}

func newPipeEnd(conn net.Conn, path string) *pipeEnd {
	return &pipeEnd{Conn: conn, addr: fileAddr(path), closed: make(chan struct{})}
}

// Close implements net.Conn.
func (p *pipeEnd) Close() error {
	err := p.Conn.Close()
	p.once.Do(func() { close(p.closed) })
	return err
}

// LocalAddr implements net.Conn.
func (p *pipeEnd) LocalAddr() net.Addr { return p.addr }

// RemoteAddr implements net.Conn.
func (p *pipeEnd) RemoteAddr() net.Addr { return p.addr }

// fileAddr is the file as an address.
type fileAddr string

func (fileAddr) Network() string  { return "in-process" }
func (a fileAddr) String() string { return string(a) }
