// SPDX-License-Identifier: MPL-2.0

package grpcstdio

import (
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/hashicorp/go-plugin/internal/idleread"
)

// Conn is a connection that a gRPC server serves to the host of a Sender.
type Conn struct {
	net.Conn
	*idleread.Reader // of Conn
	watch            *watch
}

// Conn returns conn for a gRPC server, before anything is written to it. That of a nil
// Sender counts nothing.
func (s *Sender) Conn(conn net.Conn) *Conn {
	c := &Conn{Conn: conn, Reader: idleread.NewReader(conn)}
	if s != nil {
		c.watch = &watch{wire: &s.wire}
	}
	return c
}

// NetConn returns the connection beneath, so that its TLS can be found.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if c.watch != nil {
		c.watch.wrote(p[:n])
	}
	return n, err
}

// Listener returns lis with the connections of a server without TLS.
func (s *Sender) Listener(lis net.Listener) net.Listener { return listener{lis, s} }

type listener struct {
	net.Listener
	sender *Sender
}

func (l listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.sender.Conn(conn), nil
}

// Credentials returns the credentials of a server whose TLS is creds.
func (s *Sender) Credentials(creds credentials.TransportCredentials) credentials.TransportCredentials {
	return serverCredentials{creds, s}
}

type serverCredentials struct {
	credentials.TransportCredentials
	sender *Sender
}

func (c serverCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	conn, info, err := c.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		return nil, nil, err
	}
	return c.sender.Conn(conn), info, nil
}

func (c serverCredentials) Clone() credentials.TransportCredentials {
	return serverCredentials{c.TransportCredentials.Clone(), c.sender}
}
