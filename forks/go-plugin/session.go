// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/hello"
	"github.com/hashicorp/go-plugin/internal/idleread"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/stdio"
)

// Session is one attachment of this host to one remote plugin. It ends when
// the connection fails, when the plugin stops answering probes, or when it is
// closed, and never comes back: [Attach] makes the next one. All methods may be
// called from any goroutine.
type Session struct {
	info   *PeerInfo
	agreed hello.Agreement

	pingTimeout, keepalive time.Duration // of ClientConfig
	takesOutput            bool          // there is somebody for what the plugin writes

	conn   *sessionConn
	client sessionClient

	ctx      context.Context         // ends with the session, its cause says why
	end      context.CancelCauseFunc // the first call counts
	draining chan struct{}
	drains   sync.Once  // closes draining
	asking   sync.Mutex // no worker starts while Close begins to wait
	workers  sync.WaitGroup
}

// sessionClient is what both protocols' clients offer a session.
type sessionClient interface {
	ClientProtocol
	PingContext(context.Context) error
	// watchDrain blocks until the plugin says that it is about to leave (nil)
	// or ctx ends.
	watchDrain(ctx context.Context) error
	// awaitOutput waits until the output of a plugin that is gone was passed on,
	// or until ctx ends.
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
// does not know the handshake says so over gRPC at most, by an HTTP/2 GOAWAY.
func (s *Session) Draining() <-chan struct{} { return s.draining }

// ClientConn returns the connection of a gRPC session, and false for net/rpc.
// The session closes it.
func (s *Session) ClientConn() (*grpc.ClientConn, bool) {
	if c, ok := s.client.(*GRPCClient); ok {
		return c.Conn, true
	}
	return nil, false
}

// Close detaches from the plugin, which lives on, and waits until the
// session's goroutines have ended. What the plugin wrote before, to ClientConfig's
// SyncStdout and SyncStderr, has been passed on then, unless that took more than two
// seconds. Calls in flight fail with [ErrConnectionLost].
func (s *Session) Close() error {
	s.asking.Lock()
	s.end(ErrDetached)
	s.asking.Unlock()
	s.workers.Wait()
	return nil
}

// start supervises a session whose client is set. Most sessions cost no
// goroutine for that.
func (s *Session) start() {
	s.workers.Add(1)
	context.AfterFunc(s.ctx, func() {
		defer s.workers.Done()
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
	a := s.agreed
	if a.Has(hello.FeatureGoAway) && !a.Has(hello.FeatureRPCMux) && !a.Has(hello.FeatureGRPCOnDemand) {
		s.askForDrain() // who has not asked from the beginning is not told
	}
	if s.keepalive > 0 {
		s.keepAlive()
	}
}

// setDraining notes that the plugin has said that it is about to leave.
func (s *Session) setDraining() { s.drains.Do(func() { close(s.draining) }) }

// lose ends the session because its connection has failed.
func (s *Session) lose(err error) { s.end(peererr.Lost(err)) }

// detach ends the session because this side closes its client. It reports whether the
// plugin is to be asked to end it, too, for the output that it still has. One that has
// shaken hands takes that for no more; with one that was lost there is nobody to ask.
func (s *Session) detach() (ask bool) {
	s.end(ErrDetached)
	return s.info != nil && s.takesOutput && errors.Is(s.Err(), ErrDetached)
}

// askForDrain asks the plugin to say when it is about to leave, and does not
// wait for that.
func (s *Session) askForDrain() {
	s.asking.Lock()
	defer s.asking.Unlock()
	if s.ctx.Err() != nil {
		return
	}
	s.workers.Add(1)
	go func() {
		defer s.workers.Done()
		if s.client.watchDrain(s.ctx) == nil {
			s.setDraining()
		}
	}()
}

// keepAlive probes the plugin whenever nothing came from it for the interval,
// and ends the session when a probe is not answered. It sees what TCP does
// not: a stopped process, a node that is gone.
func (s *Session) keepAlive() {
	var timer *time.Timer
	armed := make(chan struct{})
	timer = time.AfterFunc(s.keepalive, func() {
		<-armed
		if next := s.probe(); next > 0 {
			timer.Reset(next)
		}
	})
	close(armed)
	s.workers.Add(1)
	context.AfterFunc(s.ctx, func() {
		defer s.workers.Done()
		timer.Stop()
	})
}

// probe returns after how long the next probe is due, or zero if the session
// has ended.
func (s *Session) probe() time.Duration {
	if s.ctx.Err() != nil {
		return 0
	}
	if rest := s.keepalive - s.conn.silence(); rest > 0 {
		return rest
	}
	if err := s.Ping(); err != nil {
		s.lose(fmt.Errorf("plugin at %s does not answer a ping within %v: %w", s.RemoteAddr(), s.pingTimeout, err))
		return 0
	}
	return s.keepalive
}

// sessionConn is the connection of a session. It notices its end without a
// goroutine of its own, because both protocols have a read pending as long as
// they do not close it. A write that fails is not the end: what the plugin has
// sent before it hung up is still to be read.
type sessionConn struct {
	net.Conn
	opened time.Time
	heard  atomic.Int64 // when a read last brought something: nanoseconds since opened
	lost   func(error)  // may be called again

	// Of gRPC, which alone reads so. It may close the connection by itself, and
	// read no more.
	reader *idleread.Reader // of Conn
	goAway *grpcconn.GoAwayWatch
}

// silence is how long nothing has come.
func (c *sessionConn) silence() time.Duration {
	return time.Since(c.opened) - time.Duration(c.heard.Load())
}

func (c *sessionConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.note(p[:n], err)
	return n, err
}

// ReadOnReady implements idleread.Conn.
func (c *sessionConn) ReadOnReady(size int, pool mem.BufferPool) (buffer *[]byte, n int, err error) {
	buffer, n, err = c.reader.ReadOnReady(size, pool)
	var read []byte
	if n > 0 {
		read = (*buffer)[:n]
	}
	c.note(read, err)
	return buffer, n, err
}

func (c *sessionConn) note(read []byte, err error) {
	if len(read) > 0 {
		c.heard.Store(int64(time.Since(c.opened)))
		if c.goAway != nil {
			c.goAway.See(read)
		}
	}
	if err != nil && !isDeadline(err) {
		c.lost(err)
	}
}

// isDeadline reports whether err says that a deadline has passed. Not every
// connection has the error of package os for that, and the system's own timeout
// is the end of a connection.
func isDeadline(err error) bool {
	var late net.Error
	var system syscall.Errno
	return errors.As(err, &late) && late.Timeout() && !errors.As(err, &system)
}

// Close implements net.Conn.
func (c *sessionConn) Close() error {
	if c.goAway != nil {
		c.lost(net.ErrClosed)
	}
	return c.Conn.Close()
}

// NetConn returns the connection beneath, so that its TLS can be found.
func (c *sessionConn) NetConn() net.Conn { return c.Conn }

// WritesTo returns the connection that gets what is written, as it is.
func (c *sessionConn) WritesTo() net.Conn { return c.Conn }
