// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"fmt"
	"github.com/hashicorp/go-plugin/internal/peererr"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-plugin/internal/listen"
	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
	"github.com/hashicorp/go-plugin/runner"
)

// Bounds of what the other side has announced and nobody has dialled yet: how many
// announcements are kept, and how long.
const (
	maxAnnounced  = 4096
	keepAnnounced = time.Minute
)

// listenerTransport opens a listener for each accepted id and announces its
// address. It is how brokers connect unless the peers agreed on better.
type listenerTransport struct {
	core          *brokerCore
	sockets       listen.Sockets
	translator    runner.AddrTranslator // nil: both sides see the same addresses
	announcements *rendezvous.Table[uint32, *pluginpb.ConnInfo]
	// announced, if not nil, is told where the other side listens. It does not block.
	announced func(network, address string)

	mu   sync.Mutex
	open map[*announcedListener]struct{} // nil once closed
}

func newListenerTransport(core *brokerCore, sockets listen.Sockets, translator runner.AddrTranslator) *listenerTransport {
	return &listenerTransport{
		core:          core,
		sockets:       sockets,
		translator:    translator,
		announcements: rendezvous.New[uint32](rendezvous.Options[*pluginpb.ConnInfo]{Keep: keepAnnounced, Limit: maxAnnounced}),
		open:          map[*announcedListener]struct{}{},
	}
}

func (t *listenerTransport) accept(ctx context.Context, id uint32) (net.Listener, error) {
	lis, err := listen.Local(t.sockets)
	if err != nil {
		return nil, err
	}
	announced := &announcedListener{Listener: lis, transport: t}
	if err := t.track(announced); err != nil {
		_ = lis.Close()
		return nil, err
	}
	if err := t.announce(ctx, id, lis.Addr()); err != nil {
		_ = announced.Close()
		return nil, err
	}
	return announced, nil
}

func (t *listenerTransport) announce(ctx context.Context, id uint32, addr net.Addr) error {
	network, address := addr.Network(), addr.String()
	if t.translator != nil {
		var err error
		if network, address, err = t.translator.HostToPlugin(network, address); err != nil {
			return fmt.Errorf("translate address %s for the plugin: %w", addr, err)
		}
	}
	return t.core.link.send(ctx, &pluginpb.ConnInfo{ServiceId: id, Network: network, Address: address})
}

func (t *listenerTransport) dialer(ctx context.Context, id uint32) (brokerDialer, error) {
	msg, err := t.announcements.Take(ctx, id)
	if err != nil {
		return brokerDialer{}, fmt.Errorf("the other side did not announce it: %w", err)
	}
	network, address := msg.GetNetwork(), msg.GetAddress()
	if t.translator != nil {
		if network, address, err = t.translator.PluginToHost(network, address); err != nil {
			return brokerDialer{}, peererr.Brief(fmt.Errorf("translate address %s of the plugin: %w", msg.GetAddress(), err))
		}
	}
	if network != "tcp" && network != "unix" {
		return brokerDialer{}, peererr.Brief(fmt.Errorf("address %q is announced on network %q, want tcp or unix", address, network))
	}
	return brokerDialer{dial: func(ctx context.Context) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, address)
	}}, nil
}

func (t *listenerTransport) receive(msg *pluginpb.ConnInfo) {
	if msg.GetKnock() != nil {
		t.core.logger.Warn("the other side's broker knocks though no multiplexing was agreed", "id", msg.GetServiceId())
		return
	}
	if t.announced != nil {
		t.announced(msg.GetNetwork(), msg.GetAddress())
	}
	t.announcements.Put(msg.GetServiceId(), msg)
}

func (t *listenerTransport) close() {
	t.announcements.Close()
	t.mu.Lock()
	open := t.open
	t.open = nil
	t.mu.Unlock()
	for lis := range open {
		_ = lis.Close()
	}
}

func (t *listenerTransport) track(lis *announcedListener) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		return context.Cause(t.core.ctx)
	}
	t.open[lis] = struct{}{}
	return nil
}

// announcedListener is closed by its owner, or with the broker.
type announcedListener struct {
	net.Listener
	transport *listenerTransport
}

func (l *announcedListener) Close() error {
	l.transport.mu.Lock()
	delete(l.transport.open, l)
	l.transport.mu.Unlock()
	return l.Listener.Close()
}
