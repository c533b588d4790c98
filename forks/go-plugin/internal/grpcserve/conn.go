// SPDX-License-Identifier: MPL-2.0

package grpcserve

import (
	"io"
	"net"
	"sync"

	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

// Join makes the session of a host on its connection: that to which the service
// belongs, or another one of those that share it. The caller serves it, and calls Leave
// after that, or instead.
func (s *Service) Join(host Host, conn net.Conn) *Session {
	if host.Mux != nil {
		return s.joinMux(host, conn)
	}
	served := &servedConn{Conn: host.Output.Conn(conn)}
	if s.shared == nil {
		s.main.conn = served
		return s.main
	}
	session := s.newSession(host)
	session.conn = served
	s.shared.add(session)
	return session
}

// joinMux is Join with the feature mux.
func (s *Service) joinMux(host Host, conn net.Conn) *Session {
	session := s.main
	if s.shared != nil {
		session = s.newSession(host)
	}
	session.startMux(conn)
	if s.shared != nil {
		session.peer.Addr = ownAddr(session.peer.Addr)
		s.shared.name(session.peer.Addr, session)
	}
	return session
}

// Serve serves the session, and calls ended once its connection is closed, which may be
// after Serve has returned: no goroutine waits for that. The error is not nil if the
// service was stopped before.
func (s *Session) Serve(ended func(error)) {
	if s.mux != nil {
		go s.mux.Serve(ended) // on a stack that has not grown with the handshake
		return
	}
	s.conn.closed = sync.OnceFunc(func() { go ended(nil) })
	lis := &oneConnListener{conn: s.conn, addr: s.conn.LocalAddr()}
	if err := s.service.server.Serve(lis); lis.conn != nil {
		_ = s.conn.Conn.Close()
		ended(err)
	}
}

// Leave ends the session, and its service if that is shared with nobody.
func (s *Session) Leave() {
	if s.service.shared == nil {
		s.service.Stop()
		return
	}
	s.close()
	s.service.shared.remove(s)
}

// oneConnListener gives a gRPC server one connection, and ends its Serve.
type oneConnListener struct {
	conn net.Conn // nil: it was taken
	addr net.Addr
}

func (l *oneConnListener) Accept() (net.Conn, error) {
	conn := l.conn
	if conn == nil {
		return nil, io.EOF
	}
	l.conn = nil
	return conn, nil
}

func (l *oneConnListener) Close() error { return nil }

func (l *oneConnListener) Addr() net.Addr { return l.addr }

// servedConn knows when the server is done with it.
type servedConn struct {
	*grpcstdio.Conn
	closed func()   // does not block; may be called again
	remote net.Addr // names the session of a shared service; nil: Conn's
}

// RemoteAddr implements net.Conn.
func (c *servedConn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

// Close implements net.Conn.
func (c *servedConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}
