// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"

	"google.golang.org/grpc/credentials"

	"github.com/hashicorp/go-plugin/internal/idleread"
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
	net.Conn
	*idleread.Reader            // of Conn
	closed           func()     // does not block; may be called again
	remote           net.Addr   // names the session of a shared service; nil: Conn's
	written          *wireWatch // nil: nobody asks
}

func newServedConn(conn net.Conn) *servedConn {
	return &servedConn{Conn: conn, Reader: idleread.NewReader(conn)}
}

// NetConn returns the connection beneath, so that its TLS can be found.
func (c *servedConn) NetConn() net.Conn { return c.Conn }

func (c *servedConn) RemoteAddr() net.Addr {
	if c.remote != nil {
		return c.remote
	}
	return c.Conn.RemoteAddr()
}

// watch counts the output that is written. It is called before the first write.
func (c *servedConn) watch(wire *outputWire) { c.written = &wireWatch{wire: wire} }

func (c *servedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.written != nil {
		c.written.wrote(p[:n])
	}
	return n, err
}

func (c *servedConn) Close() error {
	defer c.closed()
	return c.Conn.Close()
}

// establishedTLS tells either side of gRPC of the TLS that its connection is
// inside of: an implementation sees who calls (peer.FromContext), and a host may
// send credentials with its calls that want to be kept secret. A nil conn is the one
// that gRPC serves.
type establishedTLS struct{ conn net.Conn }

func (e establishedTLS) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return e.handshake(conn)
}

func (e establishedTLS) ClientHandshake(_ context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return e.handshake(conn)
}

func (e establishedTLS) handshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	beneath := e.conn
	if beneath == nil {
		beneath = conn
	}
	secure, ok := unwrapTLS(beneath)
	if !ok {
		return conn, plainInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}, nil
	}
	return conn, credentials.TLSInfo{
		State:          secure.ConnectionState(),
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

func (e establishedTLS) Info() credentials.ProtocolInfo {
	if _, ok := unwrapTLS(e.conn); ok {
		return credentials.ProtocolInfo{SecurityProtocol: "tls"}
	}
	return credentials.ProtocolInfo{SecurityProtocol: "insecure"}
}

func (e establishedTLS) Clone() credentials.TransportCredentials { return e }

func (e establishedTLS) OverrideServerName(string) error { return nil }

// plainInfo is what a call over plain TCP knows of its caller.
type plainInfo struct{ credentials.CommonAuthInfo }

func (plainInfo) AuthType() string { return "insecure" }

// unwrapTLS finds the TLS connection inside a sniffed one.
func unwrapTLS(conn net.Conn) (*tls.Conn, bool) {
	for {
		if secure, ok := conn.(*tls.Conn); ok {
			return secure, true
		}
		wrapper, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil, false
		}
		conn = wrapper.NetConn()
	}
}
