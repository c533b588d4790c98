// SPDX-License-Identifier: MPL-2.0

package grpcserve

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/grpcmux"
	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// maxCalls is how many calls of a session may run, or of all sessions that share a
// server, with the few of the sessions themselves. A method that does not heed its
// context runs on after its host has given it up.
const maxCalls = 4096

// Mux says how a session with the feature mux is served.
type Mux struct {
	// Subscribe gives the host the plugin's output, when it asks for that.
	Subscribe func() mux.Output
	// Output keeps answers behind the output.
	Output *stdio.Barrier
	// Watchdog is shared by the sessions of a process.
	Watchdog *mux.Watchdog
	// Silence is after how long a silent host is asked for a sign of life.
	Silence time.Duration
}

// sessionKey is the key of the session in the context of a call that did not come by
// HTTP/2.
type sessionKey struct{}

// startMux prepares the session for a connection that is past its handshake.
func (s *Session) startMux(conn net.Conn) {
	s.peer = peerOf(conn)
	var secure *tls.ConnectionState
	if info, ok := s.peer.AuthInfo.(credentials.TLSInfo); ok {
		secure = &info.State
	}
	ctx := context.WithValue(context.Background(), sessionKey{}, s)
	calls := grpcmux.NewServer(ctx, s.service.server, conn, secure, s.service.shown, s.enterCall)
	s.mux = mux.NewPlugin(conn, mux.PluginConfig{
		Subscribe: s.host.Mux.Subscribe,
		Watchdog:  s.host.Mux.Watchdog,
		Silence:   s.host.Mux.Silence,
		Unary:     calls.Serve,
		Accepted:  s.broker.Accepted,
		Accept: mux.Acceptors{
			mux.Brokered:  s.broker.Admit,
			mux.Call:      calls.Accept,
			mux.UnaryCall: calls.Accept,
			mux.HTTP2:     func(stream *mux.Stream) error { return s.acceptHTTP2(stream, conn) },
		},
	})
	close(s.muxed)
}

// dial opens a brokered stream. A plugin may do so before its host is served.
func (s *Session) dial(ctx context.Context, id uint32) (*mux.Stream, error) {
	select {
	case <-s.muxed:
		return s.mux.Dial(ctx, id)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// peerOf is what methods are told of whoever calls them.
func peerOf(conn net.Conn) *peer.Peer {
	_, info, _ := grpcconn.EstablishedTLS{}.ServerHandshake(conn) // never fails
	return &peer.Peer{Addr: conn.RemoteAddr(), LocalAddr: conn.LocalAddr(), AuthInfo: info}
}

// enterCall begins a call of the session that does not come by HTTP/2, until left is
// called. It returns nil if no call may begin.
func (s *Session) enterCall() (left func()) {
	service := s.service
	if !service.onMux.BeginWithin(maxCalls) {
		return nil
	}
	if service.muxClosed.Load() { // drainMux waits for whatever began before it looks
		service.onMux.End()
		return nil
	}
	return service.onMux.End
}

// acceptHTTP2 serves a stream of the session as a connection of gRPC's own.
func (s *Session) acceptHTTP2(stream *mux.Stream, beneath net.Conn) error {
	stream.Take()
	conn := &servedConn{Conn: s.host.Output.Conn(&http2Conn{stream, beneath}), closed: func() {}}
	if shared := s.service.shared; shared != nil {
		conn.remote = ownAddr(conn.RemoteAddr())
		shared.name(conn.remote, s)
		conn.closed = func() { shared.forget(conn.remote) }
	}
	go func() {
		lis := &oneConnListener{conn: conn, addr: conn.LocalAddr()}
		if _ = s.service.server.Serve(lis); lis.conn != nil {
			_ = conn.Close()
		}
	}()
	return nil
}

// http2Conn is a stream of a session that is inside of the TLS of its connection.
type http2Conn struct {
	*mux.Stream
	beneath net.Conn
}

// NetConn returns the session's connection.
func (c *http2Conn) NetConn() net.Conn { return c.beneath }

// finishMux sends what the session's plugin has written and answered. It gives up with ctx,
// and reports whether all was taken.
func (s *Session) finishMux(ctx context.Context) bool {
	flushing, cancel := context.WithTimeout(ctx, stdio.FlushTimeout)
	defer cancel()
	s.mux.FinishOutput(flushing)
	return s.mux.AwaitWritten(ctx) == nil
}

// muxSessions are those of the service with the feature mux.
func (s *Service) muxSessions() (all []*Session) {
	if s.shared == nil {
		all = []*Session{s.main}
	} else {
		all = s.shared.all()
	}
	with := all[:0]
	for _, session := range all {
		if session.mux != nil {
			with = append(with, session)
		}
	}
	return with
}

// drainMux lets no more calls begin but by HTTP/2, and waits until the answers of the others
// have left. It reports false when ctx ends first.
func (s *Service) drainMux(ctx context.Context) bool {
	s.muxClosed.Store(true)
	sessions := s.muxSessions()
	for _, session := range sessions {
		session.end()
	}
	if s.onMux.WaitQuiet(ctx, 0) != nil {
		return false
	}
	for _, session := range sessions {
		if !session.finishMux(ctx) && ctx.Err() != nil {
			return false
		}
	}
	return true
}

// withPeer tells a method that did not come by HTTP/2 who calls it.
func withPeer(ctx context.Context) context.Context {
	if session, ok := ctx.Value(sessionKey{}).(*Session); ok {
		return peer.NewContext(ctx, session.peer)
	}
	return ctx
}
