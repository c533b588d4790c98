// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/internal/wait"
)

const (
	// maxBridged bounds the ids that are accepted at once for the other side of a bridge.
	maxBridged = 1024
	// bridgeWait is how long an id stays accepted for the other side while nobody has
	// dialled it.
	bridgeWait = 10 * time.Second
	// bridgeLinger is how long it does after its last connection, which gRPC may replace.
	// An id that was used once, for a call back, is one of maxBridged no longer than that.
	bridgeLinger = time.Second
)

// OnAccepted has f called with each id that the other side says it accepts, from now on;
// nil: none. f does not block.
func (b *Broker) OnAccepted(f func(id uint32)) { b.accepted.Store(&f) }

// Accepted is told of an id that the other side says it accepts. It does not block.
func (b *Broker) Accepted(id uint32) {
	if f := b.accepted.Load(); f != nil && *f != nil {
		(*f)(id)
	}
}

// announce tells the other side that id is accepted, where its transport does not.
func (b *Broker) announce(id uint32) {
	if b.cfg.Announce != nil {
		b.cfg.Announce(id)
	}
}

// Bridge joins the brokers of two sessions, of which this process is an end of each: what
// the other side of one accepts, the other side of the other can dial, under the same id.
// All methods may be called from any goroutine.
type Bridge struct {
	ctx  context.Context // ends with the bridge
	end  context.CancelFunc
	work wait.Group

	mu     sync.Mutex
	closed bool
	open   int // ids that are accepted
}

// NewBridge returns a bridge over which nothing goes yet. The caller closes it.
func NewBridge() *Bridge {
	b := new(Bridge)
	b.ctx, b.end = context.WithCancel(context.Background())
	return b
}

// Close ends what goes over the bridge, and waits for that.
func (b *Bridge) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.end()
	b.work.Wait()
}

// Offer lets the other side of on dial id, which the other side of at accepts. It does not
// block. What cannot be offered is told to whoever dials it.
func (b *Bridge) Offer(id uint32, at, on *Broker) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if b.open >= maxBridged {
		on.logger.Warn("a broker id is not passed on, as too many are open", "id", id, "open", b.open)
		return
	}
	b.open++
	b.work.Go(func() {
		if err := b.carry(id, at, on); err != nil && b.ctx.Err() == nil {
			on.logger.Warn("a broker id is not passed on", "id", id, "error", err)
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		b.open--
	})
}

// carry connects what is dialled under id, until that has come to rest.
func (b *Bridge) carry(id uint32, at, on *Broker) error {
	ctx, cancel := on.within(b.ctx, on.patience)
	defer cancel()
	lis, err := on.acceptWithin(ctx, id)
	if err != nil {
		return err
	}
	defer lis.Close()
	defer context.AfterFunc(b.ctx, func() { _ = lis.Close() })()
	idle := time.AfterFunc(bridgeWait, func() { _ = lis.Close() })
	defer idle.Stop()
	far := newReach(at, id)
	var conns wait.Group
	defer conns.Wait()
	var mu sync.Mutex
	active := 0
	for {
		conn, err := lis.Accept()
		if err != nil {
			return nil // it was closed
		}
		mu.Lock()
		active++
		idle.Stop()
		mu.Unlock()
		conns.Go(func() {
			if err := b.join(far, conn, on); err != nil && b.ctx.Err() == nil {
				on.logger.Warn("a brokered connection is not passed on", "id", id, "error", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if active--; active == 0 {
				idle.Reset(bridgeLinger)
			}
		})
	}
}

// join connects one connection, and closes both its ends when either is.
func (b *Bridge) join(to *reach, accepted net.Conn, on *Broker) error {
	defer accepted.Close()
	defer context.AfterFunc(b.ctx, func() { _ = accepted.Close() })()
	ctx, cancel := to.at.within(b.ctx, to.at.patience)
	defer cancel()
	conn, err := on.secure(accepted)
	if err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	defer conn.Close()
	far, err := to.connect(ctx)
	if err != nil {
		return err
	}
	defer far.Close()
	defer context.AfterFunc(b.ctx, func() { _ = far.Close() })()
	var back wait.Group
	back.Go(func() {
		_, _ = io.Copy(conn, far)
		_ = conn.Close()
	})
	_, _ = io.Copy(far, conn)
	_ = far.Close()
	back.Wait()
	return nil
}

// reach connects to one id that the other side of a broker accepts, as often as is wanted:
// where that side listens for it, it has said so once.
type reach struct {
	at *Broker
	id uint32

	// found holds how the id is dialled, nil until that is known. Whoever finds it out has
	// taken it from here, and the others wait: what the other side says once is for all.
	found chan dialFunc
}

type dialFunc = func(context.Context) (net.Conn, error)

func newReach(at *Broker, id uint32) *reach {
	r := &reach{at: at, id: id, found: make(chan dialFunc, 1)}
	r.found <- nil
	return r
}

// connect makes a connection, for bytes.
func (r *reach) connect(ctx context.Context) (net.Conn, error) {
	conn, err := r.raw(ctx)
	if err != nil || r.at.creds == nil {
		return conn, err
	}
	secure, _, err := r.at.creds.ClientHandshake(ctx, "localhost", conn)
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return secure, nil
}

func (r *reach) raw(ctx context.Context) (net.Conn, error) {
	if err := r.at.use(); err != nil {
		return nil, err
	}
	dial, known, err := r.way(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := dial(ctx)
	if err == nil || !known {
		return conn, err
	}
	// Whoever accepts it may listen elsewhere by now, and has said so then.
	now, cancel := context.WithCancel(ctx)
	cancel()
	d, other := r.at.transport.dialer(now, r.id)
	if other != nil {
		return nil, err
	}
	<-r.found
	r.found <- d.dial
	return d.dial(ctx)
}

// way says how the id is dialled, and whether that was known already.
func (r *reach) way(ctx context.Context) (dial dialFunc, known bool, err error) {
	select {
	case dial = <-r.found:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	defer func() { r.found <- dial }()
	if dial != nil {
		return dial, true, nil
	}
	d, err := r.at.transport.dialer(ctx, r.id)
	dial = d.dial // nil after an error
	return dial, false, err
}
