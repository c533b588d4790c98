// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"net"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/internal/tunnel"
)

// hostTunnelTransport makes brokered connections inside the session's HTTP/2
// connection, from the host's side. PROTOCOL.md, feature "grpc-tunnel".
type hostTunnelTransport struct {
	core *brokerCore
	host *tunnel.Host
}

func (t *hostTunnelTransport) accept(_ context.Context, id uint32) (net.Listener, error) {
	t.core.openLink()
	// The lobby may outlive this session.
	lis := t.host.Listen(id)
	stop := context.AfterFunc(t.core.ctx, func() { _ = lis.Close() })
	return &releasingListener{lis, stop}, nil
}

// releasingListener calls release once it is closed by its owner.
type releasingListener struct {
	net.Listener
	release func() bool
}

func (l *releasingListener) Close() error {
	l.release()
	return l.Listener.Close()
}

func (t *hostTunnelTransport) dialer(_ context.Context, id uint32) (brokerDialer, error) {
	return brokerDialer{eager: true, dial: func(ctx context.Context) (net.Conn, error) {
		// The plugin says why it refuses. We wait longer than it does, but not
		// for ever.
		ctx, cancel := t.core.within(ctx, 2*t.core.wait)
		defer cancel()
		conn, err := t.host.Dial(ctx, id)
		if err != nil {
			return nil, peererr.Clean(err)
		}
		return conn, nil
	}}, nil
}

// receive opens the stream that the plugin knocks for.
func (t *hostTunnelTransport) receive(msg *pluginpb.ConnInfo) {
	if !isKnock(msg) {
		t.core.logger.Warn("the plugin's broker sends what does not belong into a tunnel", "id", msg.GetServiceId())
		return
	}
	t.core.answer(func() { t.answer(msg.GetServiceId(), msg.GetAddress()) })
}

func (t *hostTunnelTransport) answer(id uint32, knock string) {
	ctx, cancel := t.core.within(context.Background(), t.core.wait)
	defer cancel()
	err := t.host.Answer(ctx, id, knock)
	if err == nil {
		return
	}
	refusal := knockMessage(id, &pluginpb.ConnInfo_Knock{Ack: true, Error: err.Error()})
	refusal.Address = knock
	if err := t.core.link.send(t.core.ctx, refusal); err != nil && t.core.ctx.Err() == nil {
		t.core.logger.Warn("a knock was not answered", "id", id, "error", err)
	}
}

func (t *hostTunnelTransport) close() { t.host.Close() }

// pluginTunnelTransport is the same from the plugin's side.
type pluginTunnelTransport struct {
	core   *brokerCore
	plugin *tunnel.Plugin
	own    *rendezvous.Listeners // of this session alone; nil: it is shared
}

func (t *pluginTunnelTransport) accept(_ context.Context, id uint32) (net.Listener, error) {
	return t.plugin.Listen(id), nil
}

func (t *pluginTunnelTransport) dialer(_ context.Context, id uint32) (brokerDialer, error) {
	return brokerDialer{eager: true, dial: func(ctx context.Context) (net.Conn, error) {
		ctx, cancel := t.core.within(ctx, 2*t.core.wait)
		defer cancel()
		return t.plugin.Dial(ctx, id, func(name string) error {
			knock := knockMessage(id, &pluginpb.ConnInfo_Knock{})
			knock.Address = name
			return t.core.link.send(ctx, knock)
		})
	}}, nil
}

// receive learns of a knock that the host does not answer with a stream.
func (t *pluginTunnelTransport) receive(msg *pluginpb.ConnInfo) {
	if isAck(msg) {
		t.plugin.Refuse(msg.GetAddress(), peererr.Text(msg.GetKnock().GetError()))
		return
	}
	t.core.logger.Warn("the host's broker sends what does not belong into a tunnel", "id", msg.GetServiceId())
}

func (t *pluginTunnelTransport) close() {
	if t.own != nil {
		t.own.Close()
	}
}
