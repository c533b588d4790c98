// SPDX-License-Identifier: MPL-2.0

// Package multiplex puts the brokered gRPC connections of a session, and its main
// one, into one yamux session, as peers do that agreed on
// PLUGIN_MULTIPLEX_GRPC.
//
// The host opens the first yamux stream for the main connection. A stream for a
// broker id is announced: its dialler knocks, elsewhere, and opens it when the
// knock was answered. A stream does not say which knock it belongs to, so a
// dialler has one knock under way at a time, and the acceptor hands out streams
// in the order of its answers.
package multiplex

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/yamux"

	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// Session is what both sides have. All methods may be called from any goroutine.
type Session struct {
	listeners *rendezvous.Listeners
	main      *rendezvous.Listener // gets what nobody knocked for; nil: such streams are refused
	dialing   chan struct{}        // holds an item while a dial is under way

	connected chan struct{} // closed when yamux or failure is set
	yamux     *yamux.Session
	failure   error
	ended     chan struct{} // closed when the session has

	mu       sync.Mutex
	expected []*rendezvous.Listener // of the next streams, in the order of the acks
}

// newSession runs in the background what connect returns.
func newSession(main *rendezvous.Listener, connect func() (*yamux.Session, error)) *Session {
	s := &Session{
		listeners: rendezvous.NewListeners(),
		main:      main,
		dialing:   make(chan struct{}, 1),
		connected: make(chan struct{}),
		ended:     make(chan struct{}),
	}
	go s.run(connect)
	return s
}

func (s *Session) run(connect func() (*yamux.Session, error)) {
	defer close(s.ended)
	s.yamux, s.failure = connect()
	close(s.connected)
	if s.failure == nil {
		s.route()
	}
	s.listeners.Close()
	if s.main != nil {
		_ = s.main.Close()
	}
}

// route hands out the streams that the other side opens until the session ends.
func (s *Session) route() {
	for {
		conn, err := s.yamux.Accept()
		if err != nil {
			return
		}
		if lis := s.next(); lis != nil {
			lis.Deliver(conn)
		} else {
			_ = conn.Close()
		}
	}
}

// next is whose the next stream is.
func (s *Session) next() *rendezvous.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.expected) == 0 {
		return s.main
	}
	lis := s.expected[0]
	s.expected = s.expected[1:]
	return lis
}

// Dial opens a stream once knock has returned, which asks the other side to accept it.
// The caller closes the stream.
func (s *Session) Dial(ctx context.Context, knock func(context.Context) error) (net.Conn, error) {
	select {
	case s.dialing <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the dial before this one: %w", context.Cause(ctx))
	}
	defer func() { <-s.dialing }()
	if err := knock(ctx); err != nil {
		return nil, err
	}
	return s.open(ctx)
}

// Redeem opens and closes a stream for a knock that was answered after its
// dialler had given up. Without it the acceptor would take the next stream for
// this one.
func (s *Session) Redeem(ctx context.Context) error {
	conn, err := s.open(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

func (s *Session) open(ctx context.Context) (net.Conn, error) {
	select {
	case <-s.connected:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the host's connection: %w", context.Cause(ctx))
	}
	if s.failure != nil {
		return nil, s.failure
	}
	conn, err := s.yamux.Open()
	if err != nil {
		return nil, fmt.Errorf("open yamux stream: %w", err)
	}
	return conn, nil
}

// Forward tells wanted of each id that the other side knocks for and that nobody accepts.
func (s *Session) Forward(wanted func(id uint32)) { s.listeners.Forward(wanted) }

// Listen accepts the streams of an id until the listener is closed.
func (s *Session) Listen(id uint32) net.Listener { return s.listeners.Listen(id) }

// Admit answers a knock for id: it waits until ctx ends for somebody to accept
// the id, and calls ack with nil, or with why not. The stream that follows goes
// to that listener. The error is ack's.
func (s *Session) Admit(ctx context.Context, id uint32, ack func(refused error) error) error {
	lis, err := s.listeners.Find(ctx, id)
	if err != nil {
		return ack(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.expected = append(s.expected, lis)
	if err := ack(nil); err != nil {
		s.expected = s.expected[:len(s.expected)-1]
		return err
	}
	return nil
}

// close ends the session and every connection in it.
func (s *Session) close() error {
	<-s.connected
	var err error
	if s.failure == nil {
		err = s.yamux.Close()
	}
	<-s.ended
	return err
}

// yamuxConfig is the protocol's: yamux's defaults, spelled out because
// yamux.DefaultConfig reads os.Stderr, which a plugin is about to replace. yamux
// reports an ordinary hang-up as an error, so its messages have the level debug.
func yamuxConfig(logger hclog.Logger) *yamux.Config {
	cfg := &yamux.Config{
		AcceptBacklog:          256,
		EnableKeepAlive:        true,
		KeepAliveInterval:      30 * time.Second,
		ConnectionWriteTimeout: 10 * time.Second,
		MaxStreamWindowSize:    256 << 10,
		StreamOpenTimeout:      75 * time.Second,
		StreamCloseTimeout:     5 * time.Minute,
	}
	cfg.Logger = logger.Named("yamux").StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug})
	return cfg
}
