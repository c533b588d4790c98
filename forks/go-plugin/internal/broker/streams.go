// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"context"
	"errors"
	"net"

	"github.com/hashicorp/go-plugin/internal/mux"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// Streams makes connections as streams of a session with the feature mux. dial opens one
// for id, and waits until the other side has accepted it. What the other side dials comes
// by [Broker.Admit]. They need no TLS of their own, and no link.
func Streams(dial func(ctx context.Context, id uint32) (*mux.Stream, error)) Transport {
	return func(b *Broker) transport {
		accepted := rendezvous.NewListeners()
		if b.cfg.Group != nil {
			accepted = b.cfg.Group.listeners
		}
		b.inSession = true
		return &streams{b, dial, accepted}
	}
}

type streams struct {
	b        *Broker
	dial     func(ctx context.Context, id uint32) (*mux.Stream, error)
	accepted *rendezvous.Listeners
}

func (t *streams) accept(_ context.Context, id uint32) (net.Listener, error) {
	return t.accepted.Listen(id), nil
}

func (t *streams) dialer(_ context.Context, id uint32) (dialer, error) {
	return dialer{eager: true, dial: func(ctx context.Context) (net.Conn, error) {
		stream, err := t.dial(ctx, id)
		if err != nil {
			return nil, err
		}
		return &brokered{stream, rendezvous.Addr(id)}, nil
	}}, nil
}

// receive is not used: there is no link.
func (*streams) receive(message) {}

// Admit takes in a stream that the other side has opened, or says why not. It does not
// block: the stream waits until somebody accepts its id.
func (b *Broker) Admit(stream *mux.Stream) error {
	t, ok := b.transport.(*streams)
	if !ok {
		return errors.New("the session brokers no streams")
	}
	id, err := stream.BrokerID()
	if err != nil {
		return err
	}
	if !b.spawn(func() { t.admit(id, stream) }) {
		return ErrClosed
	}
	return nil
}

// admit gives a stream to whoever accepts id.
func (t *streams) admit(id uint32, stream *mux.Stream) {
	ctx, cancel := t.b.within(context.Background(), t.b.patience)
	defer cancel()
	lis, err := t.accepted.Find(ctx, id)
	if err != nil {
		_ = stream.Reset(err.Error())
		return
	}
	if stream.Accept() != nil {
		_ = stream.Close()
		return
	}
	lis.Deliver(&brokered{stream, rendezvous.Addr(id)})
}

// InSession reports whether each connection is a stream of the session's own.
func (b *Broker) InSession() bool { return b.inSession }

// brokered is a stream that is named by an id.
type brokered struct {
	*mux.Stream
	addr rendezvous.Addr
}

// LocalAddr implements net.Conn.
func (c *brokered) LocalAddr() net.Addr { return c.addr }

// RemoteAddr implements net.Conn.
func (c *brokered) RemoteAddr() net.Addr { return c.addr }
