// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
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
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/wait"
)

const (
	// brokerWait is how long one side waits for the other to accept or to
	// announce a broker id. Every go-plugin peer waits that long.
	brokerWait = 5 * time.Second
	// brokerGrace is how long calls on brokered connections may take to finish
	// when the broker closes.
	brokerGrace = 5 * time.Second
	// maxAnswers is how many knocks of the other side wait for their answer at once.
	// No more messages are read from it meanwhile.
	maxAnswers = 1024
)

var errBrokerClosed = errors.New("broker closed")

// GRPCBroker makes further connections between host and plugin, each named by
// an id: one side accepts the id, tells it to the other in a call, and the
// other dials it. That is how an argument or a result of a call can be an
// interface. A broker belongs to one session, and ids mean nothing outside it.
// All methods may be called from any goroutine.
type GRPCBroker struct {
	// Mutex is part of the type's published shape. The broker does not use it.
	sync.Mutex

	ids       *atomic.Uint32
	core      *brokerCore
	transport brokerTransport
	// callee, if not nil, returns the broker to dial with instead of this one.
	callee func() (*GRPCBroker, error)
	// creds secure the brokered connections; nil where they need none.
	creds credentials.TransportCredentials
	// maxMessage bounds the messages of brokered connections, in bytes; zero does not.
	maxMessage int
	// serverOptions are what AcceptAndServe gives to its server.
	serverOptions []grpc.ServerOption
}

// brokerTransport is one way to make brokered connections. Its methods may be
// called from any goroutine.
type brokerTransport interface {
	// accept listens for id until the listener is closed.
	accept(ctx context.Context, id uint32) (net.Listener, error)
	// dialer returns how to connect to id, now and after the connection was
	// lost. ctx bounds this call only.
	dialer(ctx context.Context, id uint32) (brokerDialer, error)
	// receive acts on a message from the other side. It blocks only while too many
	// are being answered.
	receive(*pluginpb.ConnInfo)
	// close closes what the transport has opened.
	close()
}

// brokerDialer connects to one id.
type brokerDialer struct {
	dial func(context.Context) (net.Conn, error)
	// eager means that the outcome of the first dial is the outcome of Dial.
	eager bool
}

// brokerCore is what a broker and its transport share.
type brokerCore struct {
	link   brokerLink
	logger hclog.Logger
	wait   time.Duration // brokerWait, but in tests

	// Of the host's side. openLink opens the link, if it is not open, and does
	// not wait for it: the plugin asks on it for what the host accepts.
	openLink func()
	drain    grpcconn.DrainSigns
	// needed is called, maybe again, when the link was lost for good and somebody
	// wants to broker; nil: nobody wants to know.
	needed func(error)

	answers chan struct{} // one item for each that is being worked on

	ctx context.Context // ends with the broker
	end context.CancelCauseFunc

	mu     sync.Mutex // guards what follows, and the start of work
	closed bool
	used   bool
	lost   error
	work   wait.Group // of answers to the other side's messages
}

func newBrokerCore(logger hclog.Logger) *brokerCore {
	core := &brokerCore{logger: logger, wait: brokerWait, answers: make(chan struct{}, maxAnswers)}
	core.ctx, core.end = context.WithCancelCause(context.Background())
	return core
}

// within bounds ctx by d, and by the life of the broker.
func (c *brokerCore) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(context.Cause(c.ctx)) })
	ctx, cancelTimer := context.WithTimeoutCause(ctx, d, fmt.Errorf("waited %v", d))
	return ctx, func() {
		stop()
		cancelTimer()
		cancel(nil)
	}
}

// spawn runs f in the background, unless the broker is closed.
func (c *brokerCore) spawn(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.work.Go(f)
	}
}

// answer is spawn for what a message of the other side asks for. It waits while too
// much of that is under way, and does nothing once the broker is closed.
func (c *brokerCore) answer(f func()) {
	select {
	case c.answers <- struct{}{}:
	case <-c.ctx.Done():
		return
	}
	c.spawn(func() {
		defer func() { <-c.answers }()
		f()
	})
}

// use notes that somebody wants to broker.
func (c *brokerCore) use() {
	c.mu.Lock()
	c.used = true
	lost := c.lost
	c.mu.Unlock()
	if lost != nil && c.needed != nil {
		c.needed(lost)
	}
}

// lose ends the broker because its link was lost for good.
func (c *brokerCore) lose(err error) {
	if c.ctx.Err() != nil {
		return // It was closed, and that is why.
	}
	c.end(err)
	c.mu.Lock()
	c.lost = err
	used := c.used
	c.mu.Unlock()
	c.logger.Warn("no more connections can be brokered", "reason", err)
	if used && c.needed != nil {
		c.needed(err)
	}
}

// close ends the broker for the given reason and waits for what was spawned.
func (c *brokerCore) close(reason error) {
	c.end(reason)
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.work.Wait()
}

// Accept listens for the connections that the other side dials with id. The
// caller closes the listener.
func (b *GRPCBroker) Accept(id uint32) (net.Listener, error) {
	lis, err := b.accept(id)
	if err != nil {
		return nil, fmt.Errorf("accept broker id %d: %w", id, err)
	}
	return lis, nil
}

func (b *GRPCBroker) accept(id uint32) (net.Listener, error) {
	b.core.use()
	if b.core.ctx.Err() != nil {
		return nil, context.Cause(b.core.ctx)
	}
	return b.transport.accept(b.core.ctx, id)
}

// AcceptAndServe accepts id and serves on it what newGRPCServer makes of the
// options, until that server is stopped or the broker is closed. An error is
// logged.
func (b *GRPCBroker) AcceptAndServe(id uint32, newGRPCServer func([]grpc.ServerOption) *grpc.Server) {
	lis, err := b.Accept(id)
	if err != nil {
		b.core.logger.Error("nothing is served on a broker id", "id", id, "error", err)
		return
	}
	defer lis.Close()
	server := newGRPCServer(slices.Clone(b.serverOptions)) // It may append to them.
	stopped := make(chan struct{})
	stop := context.AfterFunc(b.core.ctx, func() {
		defer close(stopped)
		stopWithin(server, brokerGrace)
	})
	err = server.Serve(lis)
	if !stop() {
		<-stopped
		return
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		b.core.logger.Error("serving a broker id failed", "id", id, "error", err)
	}
}

// stopWithin lets calls in flight finish for a while.
func stopWithin(server *grpc.Server, grace time.Duration) {
	timer := time.AfterFunc(grace, server.Stop)
	defer timer.Stop()
	server.GracefulStop()
}

// Dial connects to id. The caller closes the connection.
func (b *GRPCBroker) Dial(id uint32) (conn *grpc.ClientConn, err error) {
	return b.DialWithOptions(id)
}

// DialWithOptions connects to id with further options. It fails when the other
// side does not accept id within 5 seconds; with GRPCBrokerMultiplex, whose
// peers may accept later, the first call fails instead. The caller closes the
// connection.
func (b *GRPCBroker) DialWithOptions(id uint32, opts ...grpc.DialOption) (conn *grpc.ClientConn, err error) {
	conn, err = b.dial(id, opts)
	if err != nil {
		return nil, fmt.Errorf("dial broker id %d: %w", id, err)
	}
	return conn, nil
}

func (b *GRPCBroker) dial(id uint32, opts []grpc.DialOption) (*grpc.ClientConn, error) {
	b.core.use()
	if b.core.ctx.Err() != nil {
		return nil, context.Cause(b.core.ctx)
	}
	if b.callee != nil {
		broker, err := b.callee()
		if err != nil {
			return nil, err
		}
		return broker.dial(id, opts)
	}
	ctx, cancel := b.core.within(context.Background(), b.core.wait)
	defer cancel()
	dialer, err := b.transport.dialer(ctx, id)
	if err != nil {
		return nil, err
	}
	if dialer.eager {
		return b.dialEagerly(dialer, opts)
	}
	return b.connect(dialer.dial, opts)
}

// connect makes a brokered connection.
func (b *GRPCBroker) connect(dial func(context.Context) (net.Conn, error), opts []grpc.DialOption) (*grpc.ClientConn, error) {
	return grpcconn.New(grpcconn.Config{
		Dial: dial, Creds: b.creds, Drain: b.core.drain, MaxReceive: b.maxMessage, MaxSend: b.maxMessage, Options: opts,
	})
}

// dialEagerly waits for the outcome of the first dial. The connection makes
// that dial itself, so that it owns what comes of it.
func (b *GRPCBroker) dialEagerly(dialer brokerDialer, opts []grpc.DialOption) (*grpc.ClientConn, error) {
	first := make(chan error, 1)
	conn, err := b.connect(func(ctx context.Context) (net.Conn, error) {
		conn, err := dialer.dial(ctx)
		select {
		case first <- err:
		default:
		}
		return conn, err
	}, opts)
	if err != nil {
		return nil, err
	}
	ctx, cancel := b.core.within(context.Background(), 2*b.core.wait)
	defer cancel()
	select {
	case err = <-first:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// NextId returns an id that this side of the session has not used yet.
func (b *GRPCBroker) NextId() uint32 { return b.ids.Add(1) }

// Run blocks until the broker is closed. The library brokers without it.
func (b *GRPCBroker) Run() { <-b.core.ctx.Done() }

// Close ends what waits in the broker and stops its servers. The library calls
// it when the session ends.
func (b *GRPCBroker) Close() error {
	if b.core == nil {
		return nil
	}
	b.core.end(errBrokerClosed)
	b.transport.close()
	b.core.close(errBrokerClosed)
	return nil
}
