// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"context"
	"fmt"
	"net"
	"time"
)

// within bounds ctx by d, and by the life of the broker.
func (b *Broker) within(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(b.ctx, func() { cancel(context.Cause(b.ctx)) })
	ctx, cancelTimer := context.WithTimeoutCause(ctx, d, fmt.Errorf("waited %v", d))
	return ctx, func() {
		stop()
		cancelTimer()
		cancel(nil)
	}
}

// secure speaks the broker's TLS on a connection that was accepted, if it has any. Whoever has
// dialled may be silent, and its session may end before it is not.
func (b *Broker) secure(conn net.Conn) (net.Conn, error) {
	if b.creds == nil {
		return conn, nil
	}
	_ = conn.SetDeadline(time.Now().Add(b.patience))
	secure, _, err := b.creds.ServerHandshake(conn)
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	return secure, err
}

// spawn runs f in the background, and reports false if the broker is closed.
func (b *Broker) spawn(f func()) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.work.Go(f)
	}
	return !b.closed
}

// answer is spawn for what a message of the other side asks for. It waits while too
// much of that is under way, and does nothing once the broker has ended.
func (b *Broker) answer(f func()) {
	select {
	case b.answers <- struct{}{}:
	case <-b.ctx.Done():
		return
	}
	b.spawn(func() {
		defer func() { <-b.answers }()
		f()
	})
}

// atEnd runs f when the broker ends, and Close waits for that. stop prevents it, and
// reports whether it did.
func (b *Broker) atEnd(f func()) (stop func() bool) {
	done := func() {}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.work.Add(1)
		done = b.work.Done
	}
	stopped := context.AfterFunc(b.ctx, func() {
		defer done()
		f()
	})
	return func() bool {
		if !stopped() {
			return false
		}
		done()
		return true
	}
}

// own closes lis with the broker.
func (b *Broker) own(lis net.Listener) net.Listener {
	return &ownedListener{lis, b.atEnd(func() { _ = lis.Close() })}
}

// ownedListener is closed by its owner, or with the broker.
type ownedListener struct {
	net.Listener
	release func() bool
}

func (l *ownedListener) Close() error {
	l.release()
	return l.Listener.Close()
}

// use notes that somebody wants to broker. It returns why the broker has ended, if it
// has.
func (b *Broker) use() error {
	b.used.Store(true)
	b.tellLost()
	return context.Cause(b.ctx)
}

// lose ends the broker because its link was lost for good.
func (b *Broker) lose(err error) {
	if b.ctx.Err() != nil {
		return // It was closed, and that is why.
	}
	b.end(err)
	b.logger.Warn("no more connections can be brokered", "reason", err)
	b.lost.Store(&err)
	b.tellLost()
}

// tellLost is called after either of its conditions came true.
func (b *Broker) tellLost() {
	if lost := b.lost.Load(); lost != nil && b.used.Load() {
		b.cfg.Host.Lost(*lost)
	}
}
