// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"io"
	"net"
	"sync"

	"github.com/hashicorp/go-plugin/internal/stdio/grpcstdio"
)

// serveSession serves one connection, which may have joined the service, and calls
// ended once it is closed, which may be after serveSession has returned: no
// goroutine waits for that. The caller stops the service then.
func (s *grpcService) serveSession(conn *servedConn, ended func()) {
	conn.closed = sync.OnceFunc(func() { go ended() })
	lis := &oneConnListener{conn: conn, addr: conn.LocalAddr()}
	if err := s.server.Serve(lis); lis.conn != nil {
		// The service was stopped before.
		s.logger.Debug("host is not served", "error", err)
		_ = conn.Close()
	}
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

func (c *servedConn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

func (c *servedConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}
