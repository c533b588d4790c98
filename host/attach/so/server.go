// SPDX-License-Identifier: MPL-2.0

package so

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc/test/bufconn"

	"github.com/reattach/reattach/host/conn"
)

// server serves one session. It is a network plugin like any other, only that
// its one connection never leaves this process.
type server struct {
	lis   *listener
	stop  context.CancelFunc
	ended chan struct{}
	err   error // valid once ended is closed
}

func startServer(config *plugin.ServeConfig) *server {
	ctx, stop := context.WithCancel(context.Background())
	s := &server{lis: newListener(), stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.err = plugin.ServeListener(ctx, s.lis, config)
	}()
	return s
}

// dial returns the host's end of the connection. It is called once.
func (s *server) dial(ctx context.Context) (net.Conn, error) { return s.lis.DialContext(ctx) }

// close ends the server, whose peer has hung up or is about to, and returns when
// it has ended. It returns cause, and what went wrong in the server. It may be
// called again.
func (s *server) close(cause error) error {
	// A server that is stopped with a session waits for silence in it.
	late := time.NewTimer(drainTimeout)
	defer late.Stop()
	select {
	case <-s.lis.hungUp:
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

// buffer is how many bytes may be on their way in either direction. Without a
// buffer, as in a net.Pipe, each side waits for the other at every write, and
// calls take up to twice as long.
const buffer = 64 << 10

// listener has one connection, and tells when the server has closed it.
type listener struct {
	*bufconn.Listener
	once   sync.Once
	hungUp chan struct{}
}

func newListener() *listener {
	return &listener{Listener: bufconn.Listen(buffer), hungUp: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, net.ErrClosed // The only reason there is.
	}
	return &servedConn{Conn: conn, lis: l}, nil
}

type servedConn struct {
	net.Conn
	lis *listener
}

// Close implements net.Conn.
func (c *servedConn) Close() error {
	err := c.Conn.Close()
	c.lis.once.Do(func() { close(c.lis.hungUp) })
	return err
}

// fileAddr is a file as an address.
type fileAddr string

func (fileAddr) Network() string  { return "in-process" }
func (a fileAddr) String() string { return string(a) }
