// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"

	"github.com/hashicorp/go-plugin/internal/dial"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/stdio"
	"github.com/hashicorp/go-plugin/internal/wait"
)

// Session is one attachment of this host to one plugin. It ends when
// the connection fails, when the plugin stops answering probes, or when it is
// closed, and never comes back: [Attach] makes the next one. All methods may be
// called from any goroutine.
type Session struct {
	info   *PeerInfo
	agreed hello.Agreement
	child  bool // it is this host's to end

	pingTimeout, keepalive time.Duration // of ClientConfig
	takesOutput            bool          // there is somebody for what the plugin writes

	conn   *dial.Conn
	client sessionClient

	ctx         context.Context         // ends with the session, its cause says why
	end         context.CancelCauseFunc // the first call counts
	draining    context.Context         // ends when the plugin says that it is about to leave
	setDraining context.CancelFunc
	workers     wait.Group
}

// sessionClient is what both protocols' clients offer a session.
type sessionClient interface {
	ClientProtocol
	PingContext(context.Context) error
	// watchDrain blocks until the plugin says that it is about to leave (nil)
	// or ctx ends.
	watchDrain(ctx context.Context) error
	// awaitOutput waits until what has come of the plugin's output was passed on, or
	// until ctx ends.
	awaitOutput(ctx context.Context)
}

// Info is what the plugin said of itself: its name, instance, kinds and build.
// It is nil for a plugin that does not know the handshake.
func (s *Session) Info() *PeerInfo { return s.info }

// Version is the app version that both sides agreed on.
func (s *Session) Version() int { return s.agreed.Version }

// Protocol is what is spoken on the session.
func (s *Session) Protocol() Protocol { return Protocol(s.agreed.Protocol) }

// RemoteAddr is the plugin's address.
func (s *Session) RemoteAddr() net.Addr { return s.conn.RemoteAddr() }

// Dispense returns a stub for the kind of that name. It works until the
// session ends.
func (s *Session) Dispense(name string) (interface{}, error) {
	if err := s.Err(); err != nil {
		return nil, err
	}
	return s.client.Dispense(name)
}

// Ping asks the plugin for an answer, within ClientConfig.PingTimeout.
func (s *Session) Ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.pingTimeout)
	defer cancel()
	return s.PingContext(ctx)
}

// PingContext asks the plugin for an answer until ctx ends.
func (s *Session) PingContext(ctx context.Context) error {
	if err := s.Err(); err != nil {
		return err
	}
	return s.client.PingContext(ctx)
}

// Done is closed when the session has ended.
func (s *Session) Done() <-chan struct{} { return s.ctx.Done() }

// Err is nil while the session lives. Then it says why it ended: it matches
// [ErrDetached] when this side closed it and [ErrConnectionLost] otherwise.
func (s *Session) Err() error { return context.Cause(s.ctx) }

// Draining is closed when the plugin has said that it is about to leave. It
// still finishes the calls in flight; new ones belong elsewhere. A plugin that
// does not know the handshake says so over gRPC at most, by an HTTP/2 GOAWAY
// without an error.
func (s *Session) Draining() <-chan struct{} { return s.draining.Done() }

// ClientConn returns the connection of a gRPC session, and false for net/rpc.
// The session closes it.
func (s *Session) ClientConn() (*grpc.ClientConn, bool) {
	if c, ok := s.client.(*GRPCClient); ok {
		return c.Conn, true
	}
	return nil, false
}

// InvokeUnary is [GRPCClient.InvokeUnary] of a gRPC session. A net/rpc one makes no call.
func (s *Session) InvokeUnary(ctx context.Context, conn *grpc.ClientConn, method string, args, reply any, opts []grpc.CallOption) (sent bool, err error) {
	if c, ok := s.client.(*GRPCClient); ok {
		return c.InvokeUnary(ctx, conn, method, args, reply, opts)
	}
	return false, ErrNotInvoked
}

// OpenRPC asks the plugin of a net/rpc session to serve a kind on a channel of
// its own, under the service name "Plugin". The caller closes it.
func (s *Session) OpenRPC(kind string) (RPCChannel, error) {
	c, ok := s.client.(*RPCClient)
	if !ok {
		return nil, fmt.Errorf("open %s: the session speaks %s, not net/rpc", kind, s.Protocol())
	}
	return c.OpenRPC(kind)
}

// MuxBroker returns the broker of a net/rpc session, and nil for gRPC.
func (s *Session) MuxBroker() *MuxBroker {
	if c, ok := s.client.(*RPCClient); ok {
		return c.broker
	}
	return nil
}

// GRPCBroker returns the broker of a gRPC session, and nil for net/rpc.
func (s *Session) GRPCBroker() *GRPCBroker {
	if c, ok := s.client.(*GRPCClient); ok {
		return c.broker
	}
	return nil
}

// Close detaches from the plugin, which lives on unless it is a child, and waits until the
// session's goroutines have ended. What the plugin wrote before, to ClientConfig's
// SyncStdout and SyncStderr, has been passed on then, unless that took more than two
// seconds. Calls in flight fail with [ErrConnectionLost].
func (s *Session) Close() error {
	s.end(ErrDetached)
	s.workers.Wait()
	return nil
}

// start supervises a session whose client is set. Most sessions cost no
// goroutine for that.
func (s *Session) start() {
	if s.watchesDrain() {
		s.workers.Go(func() {
			if s.client.watchDrain(s.ctx) == nil {
				s.leave()
			}
		})
	}
	stopProbes := s.keepAlive()
	s.workers.Add(1)
	context.AfterFunc(s.ctx, func() {
		defer s.workers.Done()
		stopProbes()
		if !errors.Is(s.Err(), ErrDetached) {
			// What has come can still be read.
			_ = s.conn.Close()
			ctx, cancel := context.WithTimeout(context.Background(), stdio.FlushTimeout)
			defer cancel()
			s.client.awaitOutput(ctx)
		}
		_ = s.client.Close()
		_ = s.conn.Close()
	})
}

// lose ends the session because its connection has failed.
func (s *Session) lose(err error) { s.end(peererr.Lost(err)) }

// detach ends the session because this side closes its client. It reports whether the
// plugin is to be asked to end: a child, and for the output that it still has one that
// has shaken hands, which takes it for the end of the session. A plugin that was lost
// cannot be asked.
func (s *Session) detach() (ask bool) {
	s.end(ErrDetached)
	return s.child || s.info != nil && s.takesOutput && errors.Is(s.Err(), ErrDetached)
}

// leave notes that the plugin has said that it is about to leave.
func (s *Session) leave() {
	if s.ctx.Err() == nil {
		s.setDraining()
	}
}

// watchesDrain reports whether the plugin has to be asked whether it is about to leave: a
// session by mux is told.
func (s *Session) watchesDrain() bool {
	return s.agreed.Has(hello.FeatureGoAway) && !s.agreed.Has(hello.FeatureMux)
}

// keepAlive probes the plugin whenever nothing came from it for the interval, until stop
// is called, and ends the session when a probe is not answered. It sees what TCP does
// not: a process that was stopped, a node that has failed.
func (s *Session) keepAlive() (stop func() bool) {
	if s.keepalive <= 0 {
		return func() bool { return false }
	}
	var timer *time.Timer
	set := make(chan struct{})
	timer = time.AfterFunc(s.keepalive, func() {
		<-set
		if next := s.probe(); next > 0 {
			timer.Reset(next)
		}
	})
	close(set)
	return timer.Stop
}

// probe returns after how long the next probe is due, or zero if the session
// has ended, or the plugin leaves by a GOAWAY.
func (s *Session) probe() time.Duration {
	if s.ctx.Err() != nil {
		return 0
	}
	if rest := s.keepalive - s.conn.Silence(); rest > 0 {
		return rest
	}
	// A plugin that has sent a GOAWAY takes no ping, and finishes the calls in flight. TCP's own
	// probes go on.
	if s.conn.IsLeaving() {
		return 0
	}
	if err := s.Ping(); err != nil && !s.conn.IsLeaving() {
		s.lose(fmt.Errorf("plugin at %s does not answer a ping within %v: %w", s.RemoteAddr(), s.pingTimeout, err))
		return 0
	}
	return s.keepalive
}
