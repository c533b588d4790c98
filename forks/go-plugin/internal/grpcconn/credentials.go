// SPDX-License-Identifier: MPL-2.0

package grpcconn

import (
	"context"
	"crypto/tls"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// EstablishedTLS tells either side of gRPC of the TLS that its connection is
// inside of: an implementation sees who calls (peer.FromContext), and a host may
// send credentials with its calls that want to be kept secret.
type EstablishedTLS struct {
	Conn net.Conn // nil: the one that gRPC serves
}

// ServerHandshake implements credentials.TransportCredentials.
func (e EstablishedTLS) ServerHandshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return e.handshake(conn)
}

// ClientHandshake implements credentials.TransportCredentials.
func (e EstablishedTLS) ClientHandshake(_ context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return e.handshake(conn)
}

func (e EstablishedTLS) handshake(conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	beneath := e.Conn
	if beneath == nil {
		beneath = conn
	}
	secure, ok := unwrapTLS(beneath)
	if !ok {
		return insecure.NewCredentials().ServerHandshake(conn)
	}
	return conn, credentials.TLSInfo{
		State:          secure.ConnectionState(),
		CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.PrivacyAndIntegrity},
	}, nil
}

// Info implements credentials.TransportCredentials.
func (e EstablishedTLS) Info() credentials.ProtocolInfo {
	if _, ok := unwrapTLS(e.Conn); ok {
		return credentials.ProtocolInfo{SecurityProtocol: "tls"}
	}
	return insecure.NewCredentials().Info()
}

// Clone implements credentials.TransportCredentials.
func (e EstablishedTLS) Clone() credentials.TransportCredentials { return e }

// OverrideServerName does nothing: the server's name was checked already.
func (e EstablishedTLS) OverrideServerName(string) error { return nil }

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
