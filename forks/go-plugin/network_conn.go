// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"

	"google.golang.org/grpc/credentials"
)

// oneConnListener gives a gRPC server the one connection of a session, and ends
// its Serve when that connection is closed.
type oneConnListener struct {
	conn   chan net.Conn
	addr   net.Addr
	closed chan struct{}
	once   sync.Once
}

func newOneConnListener(conn net.Conn) *oneConnListener {
	l := &oneConnListener{conn: make(chan net.Conn, 1), addr: conn.LocalAddr(), closed: make(chan struct{})}
	l.conn <- &servedConn{Conn: conn, lis: l}
	return l
}

func (l *oneConnListener) Accept() (net.Conn, error) {
	select {
	case <-l.closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConnListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneConnListener) Addr() net.Addr { return l.addr }

// servedConn closes its listener when the server is done with it.
type servedConn struct {
	net.Conn
	lis *oneConnListener
}

func (c *servedConn) Close() error {
	return errors.Join(c.Conn.Close(), c.lis.Close())
}

// establishedTLS tells either side of gRPC of the TLS that its connection is
// inside of: an implementation sees who calls (peer.FromContext), and a host may
// send credentials with its calls that want to be kept secret.
type establishedTLS struct{ conn net.Conn }

func (e establishedTLS) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return e.handshake(conn)
}

func (e establishedTLS) ClientHandshake(_ context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return e.handshake(conn)
}

func (e establishedTLS) handshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secure, ok := unwrapTLS(e.conn)
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
