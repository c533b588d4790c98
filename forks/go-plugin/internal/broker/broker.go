// SPDX-License-Identifier: MPL-2.0

// Package broker makes further gRPC connections between a host and a plugin, each
// named by an id: one side accepts the id and tells it to the other in a call, and
// that one dials it.
package broker

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/hashicorp/go-plugin/internal/grpcconn"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/wait"
)

const (
	// serverGrace is how long calls on brokered connections may take to finish
	// when the broker closes.
	serverGrace = 5 * time.Second
	// maxAnswers is how many knocks of the other side wait for their answer at once.
	// No more messages are read from it meanwhile.
	maxAnswers = 1024
)

// ErrClosed says that a broker was closed, with its session.
var ErrClosed = peererr.Lost(errors.New("broker closed"))

// Config says what a broker is like.
type Config struct {
	Logger hclog.Logger
	// Transport makes what lies beneath them. Both sides of a session have the same;
	// nil: [Listeners] on local sockets.
	Transport Transport
	// TLS secures each connection; nil: plaintext.
	TLS *tls.Config
	// Wait is how long to wait for the other side; zero: [rendezvous.Wait].
	Wait time.Duration
	// Conn says how the gRPC connections are made. The broker sets how to dial, the
	// credentials and the options.
	Conn grpcconn.Config
	// ServerOptions are given to the servers of accepted ids.
	ServerOptions []grpc.ServerOption
	// Announce tells the other side of each id that is accepted, and does not wait; nil: the
	// transport does, or nobody has to know.
	Announce func(id uint32)
	// Group is what the broker accepts for, beside its own session; nil: nothing.
	Group *Group
	// Host is what a host's broker needs; nil: it is a plugin's.
	Host *Host
}

// Host is what only the host's side of a session has.
type Host struct {
	// Conn is the session's connection. It is closed after the broker.
	Conn grpc.ClientConnInterface
	// Done ends when the link to the plugin is not to be opened again.
	Done context.Context
	// Lost is told, maybe again, that the link was lost for good, once somebody has
	// wanted to broker.
	Lost func(error)
}

// Transport is one way to make brokered connections: [Listeners], [Multiplexed] or
// [Streams].
type Transport func(*Broker) transport

// transport is that of one broker. Its methods may be called from any goroutine.
type transport interface {
	// accept listens for id until the listener is closed. ctx bounds this call only: the
	// other side may have to be told first, and may not be there yet.
	accept(ctx context.Context, id uint32) (net.Listener, error)
	// dialer returns how to connect to id, now and after the connection was
	// lost. ctx bounds this call only.
	dialer(ctx context.Context, id uint32) (dialer, error)
	// receive acts on a message from the other side. It blocks only while too many
	// are being answered.
	receive(message)
}

// dialer connects to one id.
type dialer struct {
	dial func(context.Context) (net.Conn, error)
	// eager means that the outcome of the first dial is the outcome of Dial.
	eager bool
}

// Broker is one side of a session's broker. Its methods may be called from any
// goroutine.
type Broker struct {
	cfg       Config
	logger    hclog.Logger
	patience  time.Duration                    // with the other side
	creds     credentials.TransportCredentials // of cfg.TLS
	ids       *atomic.Uint32
	transport transport
	inSession bool // transport opens streams of the session
	// callee, if not nil, returns the broker to dial with instead of this one.
	callee func() (*Broker, error)

	link    link
	answers chan struct{} // one item for each that is being worked on

	ctx context.Context // ends with the broker
	end context.CancelCauseFunc

	accepted atomic.Pointer[func(uint32)] // is told of ids that the other side accepts

	used atomic.Bool           // somebody has wanted to broker
	lost atomic.Pointer[error] // why the link was lost for good

	mu     sync.Mutex // guards closed, and the start of work
	closed bool
	work   wait.Group // in the background, which Close waits for
}

// New returns the broker of a session. The caller closes it.
func New(cfg Config) *Broker { return newBroker(context.Background(), cfg) }

// newBroker returns a broker that ends with life.
func newBroker(life context.Context, cfg Config) *Broker {
	b := &Broker{
		cfg:      cfg,
		logger:   cfg.Logger,
		patience: cmp.Or(cfg.Wait, rendezvous.Wait),
		ids:      new(atomic.Uint32),
		answers:  make(chan struct{}, maxAnswers),
	}
	b.link.streams = rendezvous.New[struct{}](rendezvous.Options[messageStream]{Replace: true, Shared: true})
	b.ctx, b.end = context.WithCancelCause(life)
	if cfg.TLS != nil {
		b.creds = credentials.NewTLS(cfg.TLS)
		b.cfg.ServerOptions = append([]grpc.ServerOption{grpc.Creds(b.creds)}, cfg.ServerOptions...)
	}
	if cfg.Transport == nil {
		cfg.Transport = Listeners(ListenerConfig{})
	}
	b.transport = cfg.Transport(b)
	if cfg.Host != nil {
		b.spawn(b.runLink)
	}
	if cfg.Group != nil {
		b.ids = &cfg.Group.ids
		cfg.Group.join(b)
	}
	return b
}

// NextID returns an id that this side has not used yet.
func (b *Broker) NextID() uint32 { return b.ids.Add(1) }

// Done is closed when the broker has ended.
func (b *Broker) Done() <-chan struct{} { return b.ctx.Done() }

// Accept listens for the connections that the other side dials with id. The
// caller closes the listener.
func (b *Broker) Accept(id uint32) (net.Listener, error) {
	return b.acceptWithin(b.ctx, id)
}

// acceptWithin is Accept that gives up with ctx.
func (b *Broker) acceptWithin(ctx context.Context, id uint32) (net.Listener, error) {
	err := b.use()
	if err == nil {
		var lis net.Listener
		if lis, err = b.transport.accept(ctx, id); err == nil {
			b.announce(id)
			return b.own(lis), nil
		}
	}
	return nil, fmt.Errorf("accept broker id %d: %w", id, err)
}

// Forward tells wanted of each id that the other side dials and that nobody accepts, where
// the transport does not announce ids.
func (b *Broker) Forward(wanted func(id uint32)) {
	if f, ok := b.transport.(interface{ forward(func(id uint32)) }); ok {
		f.forward(wanted)
	}
}

// Serve accepts id and serves on it what newServer makes of the options, until that
// server is stopped or the broker is closed. An error is logged.
func (b *Broker) Serve(id uint32, newServer func([]grpc.ServerOption) *grpc.Server) {
	lis, err := b.Accept(id)
	if err != nil {
		b.logger.Error("nothing is served on a broker id", "id", id, "error", err)
		return
	}
	defer lis.Close()
	server := newServer(slices.Clone(b.cfg.ServerOptions)) // It may append to them.
	stopped := make(chan struct{})
	stop := context.AfterFunc(b.ctx, func() {
		defer close(stopped)
		defer time.AfterFunc(serverGrace, server.Stop).Stop()
		server.GracefulStop()
	})
	err = server.Serve(lis)
	if !stop() {
		<-stopped
		return
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		b.logger.Error("serving a broker id failed", "id", id, "error", err)
	}
}

// Dial connects to id. It fails when the other side does not accept id in time; where
// it may accept later, the first call fails instead. The caller closes the connection.
func (b *Broker) Dial(id uint32, opts []grpc.DialOption) (*grpc.ClientConn, error) {
	conn, err := b.dial(id, opts)
	if err != nil {
		return nil, fmt.Errorf("dial broker id %d: %w", id, err)
	}
	return conn, nil
}

func (b *Broker) dial(id uint32, opts []grpc.DialOption) (*grpc.ClientConn, error) {
	if err := b.use(); err != nil {
		return nil, err
	}
	if b.callee != nil {
		callee, err := b.callee()
		if err != nil {
			return nil, err
		}
		return callee.dial(id, opts)
	}
	found, cancel := b.within(context.Background(), b.patience)
	defer cancel()
	d, err := b.transport.dialer(found, id)
	if err != nil {
		return nil, err
	}
	first := make(chan error, 1) // the outcome of the first dial
	cfg := b.cfg.Conn
	cfg.Creds, cfg.Options = b.creds, opts
	cfg.Dial = func(ctx context.Context) (net.Conn, error) {
		if d.eager {
			// The other side says why it refuses. We wait longer than it does, but not
			// for ever.
			var cancel context.CancelFunc
			ctx, cancel = b.within(ctx, 2*b.patience)
			defer cancel()
		}
		conn, err := d.dial(ctx)
		select {
		case first <- err:
		default:
		}
		return conn, err
	}
	conn, err := grpcconn.New(cfg)
	if err != nil || !d.eager {
		return conn, err
	}
	// The connection makes the first dial itself, so that it owns what comes of it.
	dialled, cancel := b.within(context.Background(), 2*b.patience)
	defer cancel()
	select {
	case err = <-first:
	case <-dialled.Done():
		err = context.Cause(dialled)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// Close ends what waits in the broker, closes what it accepts and stops its servers.
func (b *Broker) Close() {
	b.end(ErrClosed)
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.work.Wait()
}
