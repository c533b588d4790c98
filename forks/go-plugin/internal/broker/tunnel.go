// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/peererr"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/tunnel"
)

// Tunnel makes connections inside the session's HTTP/2 connection. PROTOCOL.md, feature
// "grpc-tunnel". They need no TLS of their own.
func Tunnel() Transport {
	return func(b *Broker) transport {
		accepted := rendezvous.NewListeners()
		if b.cfg.Group != nil {
			accepted = b.cfg.Group.listeners
		}
		b.tunnelled = true
		if b.cfg.Host == nil {
			dials := rendezvous.New[string](rendezvous.Options[knocked]{Dropped: knocked.close})
			return &pluginTunnel{b: b, accepted: accepted, dials: dials}
		}
		opener := tunnel.NewOpener(b.cfg.Host.Conn)
		b.atEnd(opener.Close)
		return &hostTunnel{b, accepted, opener}
	}
}

// hostTunnel is the host's side: only a host can open a stream.
type hostTunnel struct {
	b        *Broker
	accepted *rendezvous.Listeners
	opener   *tunnel.Opener
}

func (t *hostTunnel) accept(id uint32) (net.Listener, error) {
	t.b.openLink() // The plugin knocks there.
	return t.accepted.Listen(id), nil
}

func (t *hostTunnel) dialer(_ context.Context, id uint32) (dialer, error) {
	return dialer{eager: true, dial: func(ctx context.Context) (net.Conn, error) {
		conn, err := t.opener.Open(ctx, id, "")
		if err != nil {
			return nil, peererr.Clean(err)
		}
		return conn, nil
	}}, nil
}

// receive opens the stream that the plugin knocks for.
func (t *hostTunnel) receive(msg message) {
	if !isKnock(msg) {
		t.b.logger.Warn("the plugin's broker sends what does not belong into a tunnel", "id", msg.GetServiceId())
		return
	}
	t.b.answer(func() {
		err := t.open(msg.GetServiceId(), msg.GetAddress())
		if err == nil {
			return
		}
		refusal := knockMessage(msg.GetServiceId(), &pluginpb.ConnInfo_Knock{Ack: true, Error: err.Error()})
		refusal.Address = msg.GetAddress()
		if err := t.b.link.send(t.b.ctx, refusal); err != nil && t.b.ctx.Err() == nil {
			t.b.logger.Warn("a knock was not answered", "id", msg.GetServiceId(), "error", err)
		}
	})
}

// open answers a knock once somebody accepts id.
func (t *hostTunnel) open(id uint32, knock string) error {
	ctx, cancel := t.b.within(context.Background(), t.b.patience)
	defer cancel()
	lis, err := t.accepted.Find(ctx, id)
	if err != nil {
		return err
	}
	conn, err := t.opener.Open(ctx, id, knock)
	if err != nil {
		return err
	}
	lis.Deliver(conn)
	return nil
}

// pluginTunnel is the plugin's side. It dials by a knock, upon which the host opens a
// stream.
type pluginTunnel struct {
	b        *Broker
	accepted *rendezvous.Listeners
	knocks   atomic.Uint64                      // so far
	dials    *rendezvous.Table[string, knocked] // by the knock's name
}

// knocked is what came of a knock.
type knocked struct {
	conn    net.Conn
	refused error
}

// close ends a connection that came too late.
func (k knocked) close() {
	if k.conn != nil {
		_ = k.conn.Close()
	}
}

func (t *pluginTunnel) accept(id uint32) (net.Listener, error) {
	return t.accepted.Listen(id), nil
}

func (t *pluginTunnel) dialer(_ context.Context, id uint32) (dialer, error) {
	return dialer{eager: true, dial: func(ctx context.Context) (net.Conn, error) { return t.knock(ctx, id) }}, nil
}

func (t *pluginTunnel) knock(ctx context.Context, id uint32) (net.Conn, error) {
	knock := knockMessage(id, &pluginpb.ConnInfo_Knock{})
	knock.Address = strconv.FormatUint(t.knocks.Add(1), 10)
	dial := t.dials.Expect(knock.Address)
	defer dial.Cancel()
	if err := t.b.link.send(ctx, knock); err != nil {
		return nil, fmt.Errorf("knock for broker id %d: %w", id, err)
	}
	k, err := dial.Take(ctx)
	if err != nil {
		return nil, fmt.Errorf("no answer from the host for broker id %d: %w", id, err)
	}
	return k.conn, k.refused
}

// receive learns of a knock that the host does not answer with a stream.
func (t *pluginTunnel) receive(msg message) {
	if !isAck(msg) {
		t.b.logger.Warn("the host's broker sends what does not belong into a tunnel", "id", msg.GetServiceId())
		return
	}
	t.dials.Deliver(msg.GetAddress(), knocked{refused: errors.New(peererr.Text(msg.GetKnock().GetError()))})
}

// take hands a stream of the host's to the dial that knocked for it, or to whoever
// accepts id.
func (t *pluginTunnel) take(ctx context.Context, id uint32, knock string, conn net.Conn) error {
	if knock != "" {
		if !t.dials.Deliver(knock, knocked{conn: conn}) {
			return fmt.Errorf("nobody waits for an answer to knock %s for broker id %d any more", knock, id)
		}
		return nil
	}
	ctx, cancel := t.b.within(ctx, t.b.patience)
	defer cancel()
	lis, err := t.accepted.Find(ctx, id)
	if err != nil {
		return err
	}
	if !lis.Deliver(conn) {
		return fmt.Errorf("broker id %d is not accepted any more", id)
	}
	return nil
}

// Tunnelled reports whether each connection is a stream of the session's own.
func (b *Broker) Tunnelled() bool { return b.tunnelled }

// ServeTunnel serves a stream of the method Tunnel/Open until both its ends have closed.
func (b *Broker) ServeTunnel(stream pluginpb.Tunnel_OpenServer) error {
	t, ok := b.transport.(*pluginTunnel)
	if !ok {
		return status.Error(codes.Unimplemented, "the tunnel is not part of this session")
	}
	return tunnel.Serve(stream, t.take)
}
