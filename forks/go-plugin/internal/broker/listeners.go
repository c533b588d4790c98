// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/go-plugin/internal/listen"
	"github.com/hashicorp/go-plugin/internal/peererr"
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

// ListenerConfig says how [Listeners] listen.
type ListenerConfig struct {
	// Sockets say where the listeners are.
	Sockets listen.Sockets
	// Translator makes addresses of one side addresses of the other; nil: they are the
	// same.
	Translator runner.AddrTranslator
	// Check, if not nil, says why an address that the other side announces is not dialled.
	Check func(network, address string) error
	// Announced, if not nil, is told where the other side listens. It does not block.
	Announced func(network, address string)
}

// Listeners opens a listener for each accepted id and announces its address. It is
// how brokers connect unless the peers agreed on better.
func Listeners(cfg ListenerConfig) Transport {
	return func(b *Broker) transport {
		announced := rendezvous.New[uint32](rendezvous.Options[message]{Keep: keepAnnounced, Limit: maxAnnounced, Replace: true})
		b.atEnd(announced.Close)
		return &listeners{b, cfg, announced}
	}
}

type listeners struct {
	b *Broker
	ListenerConfig
	announced *rendezvous.Table[uint32, message]
}

func (t *listeners) accept(ctx context.Context, id uint32) (net.Listener, error) {
	lis, err := listen.Local(t.Sockets)
	if err != nil {
		return nil, err
	}
	if err := t.announce(ctx, id, lis.Addr()); err != nil {
		_ = lis.Close()
		return nil, err
	}
	return lis, nil
}

func (t *listeners) announce(ctx context.Context, id uint32, addr net.Addr) error {
	network, address := addr.Network(), addr.String()
	if t.Translator != nil {
		var err error
		if network, address, err = t.Translator.HostToPlugin(network, address); err != nil {
			return fmt.Errorf("translate address %s for the plugin: %w", addr, err)
		}
	}
	return t.b.link.send(ctx, &pluginpb.ConnInfo{ServiceId: id, Network: network, Address: address})
}

func (t *listeners) dialer(ctx context.Context, id uint32) (dialer, error) {
	msg, err := t.announced.Take(ctx, id)
	if err != nil {
		return dialer{}, fmt.Errorf("the other side did not announce it: %w", err)
	}
	network, address := msg.GetNetwork(), msg.GetAddress()
	if t.Translator != nil {
		if network, address, err = t.Translator.PluginToHost(network, address); err != nil {
			return dialer{}, peererr.Brief(fmt.Errorf("translate address %s of the plugin: %w", msg.GetAddress(), err))
		}
	}
	if network != "tcp" && network != "unix" {
		return dialer{}, peererr.Brief(fmt.Errorf("address %q is announced on network %q, want tcp or unix", address, network))
	}
	if t.Check != nil {
		if err := t.Check(network, address); err != nil {
			return dialer{}, peererr.Brief(fmt.Errorf("the other side is on another machine, and %w", err))
		}
	}
	return dialer{dial: func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}, nil
}

func (t *listeners) receive(msg message) {
	if msg.GetKnock() != nil {
		t.b.logger.Warn("the other side's broker knocks though no multiplexing was agreed", "id", msg.GetServiceId())
		return
	}
	if t.Announced != nil {
		t.Announced(msg.GetNetwork(), msg.GetAddress())
	}
	t.announced.Put(msg.GetServiceId(), msg)
}
