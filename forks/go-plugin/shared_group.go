// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-plugin/internal/pluginpb"
	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// brokerGroup is the gRPC side of a [SharedBroker]. What sessions with a
// tunnel are dialled for arrives in the lobby by itself, once they have a link.
// Any other session has to accept what the group accepts.
type brokerGroup struct {
	ids   atomic.Uint32
	lobby *rendezvous.Listeners

	mu       sync.Mutex
	members  map[*GRPCBroker]struct{}
	accepted map[*groupListener]struct{}
}

func newBrokerGroup() *brokerGroup {
	return &brokerGroup{
		lobby:    rendezvous.NewListeners(),
		members:  map[*GRPCBroker]struct{}{},
		accepted: map[*groupListener]struct{}{},
	}
}

// join makes b bring what the group accepts, until b is closed.
func (g *brokerGroup) join(b *GRPCBroker) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members[b] = struct{}{}
	for lis := range g.accepted {
		lis.reach(b)
	}
	context.AfterFunc(b.core.ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.members, b)
	})
}

func (g *brokerGroup) listen(id uint32) *groupListener {
	lis := &groupListener{Listener: g.lobby.Listen(id, groupAddr(id)), group: g, id: id}
	lis.ctx, lis.end = context.WithCancel(context.Background())
	g.mu.Lock()
	defer g.mu.Unlock()
	g.accepted[lis] = struct{}{}
	for b := range g.members {
		lis.reach(b)
	}
	return lis
}

// closeAccepted closes what is accepted now.
func (g *brokerGroup) closeAccepted() {
	g.mu.Lock()
	accepted := slices.Collect(maps.Keys(g.accepted))
	g.mu.Unlock()
	for _, lis := range accepted {
		_ = lis.Close()
	}
}

// groupAddr is the address of a listener that many sessions lead to.
type groupAddr uint32

// Network returns "broker".
func (groupAddr) Network() string { return "broker" }

// String names the id.
func (a groupAddr) String() string { return fmt.Sprintf("broker id %d", uint32(a)) }

// groupListener takes the connections that any session brings for one id.
type groupListener struct {
	*rendezvous.Listener
	group *brokerGroup
	id    uint32
	ctx   context.Context // ends with the listener
	end   context.CancelFunc
}

// reach lets the plugin of b dial l, and does not wait for it.
func (l *groupListener) reach(b *GRPCBroker) {
	switch b.transport.(type) {
	case *hostTunnelTransport:
		b.core.openLink()
	case *pluginTunnelTransport: // the host opens a stream when it wants to
	default:
		go l.acceptFrom(b)
	}
}

// acceptFrom takes the connections of one member until either is closed.
func (l *groupListener) acceptFrom(b *GRPCBroker) {
	lis, err := b.accept(l.id)
	if err != nil {
		if l.ctx.Err() == nil && b.core.ctx.Err() == nil {
			b.core.logger.Warn("a session cannot be called back", "id", l.id, "error", err)
		}
		return
	}
	defer context.AfterFunc(l.ctx, func() { _ = lis.Close() })()
	defer context.AfterFunc(b.core.ctx, func() { _ = lis.Close() })()
	defer lis.Close()
	for {
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		go l.admit(b, conn)
	}
}

// admit delivers a connection of a member. The server that gets it serves all
// members, so each member's own TLS is spoken here.
func (l *groupListener) admit(b *GRPCBroker, conn net.Conn) {
	if b.creds != nil {
		stop := context.AfterFunc(l.ctx, func() { _ = conn.Close() })
		secure, _, err := b.creds.ServerHandshake(conn)
		if !stop() || err != nil {
			_ = conn.Close()
			return
		}
		conn = secure
	}
	l.Deliver(conn)
}

// Close stops accepting in every session.
func (l *groupListener) Close() error {
	l.group.mu.Lock()
	delete(l.group.accepted, l)
	l.group.mu.Unlock()
	l.end()
	return l.Listener.Close()
}

// groupTransport is how a shared broker accepts. It dials with another broker.
type groupTransport struct{ group *brokerGroup }

func (t *groupTransport) accept(ctx context.Context, id uint32) (net.Listener, error) {
	lis := t.group.listen(id)
	stop := context.AfterFunc(ctx, func() { _ = lis.Close() })
	return &releasingListener{lis, stop}, nil
}

func (t *groupTransport) dialer(context.Context, uint32) (brokerDialer, error) {
	return brokerDialer{}, errors.ErrUnsupported
}

func (t *groupTransport) receive(*pluginpb.ConnInfo) {}

func (t *groupTransport) close() {}
