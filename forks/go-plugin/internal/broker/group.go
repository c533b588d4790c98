// SPDX-License-Identifier: MPL-2.0

package broker

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-plugin/internal/rendezvous"
)

// Group is what several sessions accept together. What is dialled in a stream of a session
// arrives in listeners by itself. Any other session has to accept what the group accepts.
type Group struct {
	ids       atomic.Uint32
	listeners *rendezvous.Listeners

	mu       sync.Mutex
	forwards bool // whatever is dialled is accepted
	members  map[*Broker]struct{}
	accepted map[*groupListener]struct{}
}

// NewGroup returns a group without sessions.
func NewGroup() *Group {
	return &Group{
		listeners: rendezvous.NewListeners(),
		members:   map[*Broker]struct{}{},
		accepted:  map[*groupListener]struct{}{},
	}
}

// Broker returns a broker that accepts from all sessions of the group and dials with
// the broker that callee returns. It ends with life. cfg needs a Logger and may have
// ServerOptions.
func (g *Group) Broker(life context.Context, cfg Config, callee func() (*Broker, error)) *Broker {
	cfg.Transport = func(*Broker) transport { return g }
	b := newBroker(life, cfg)
	b.ids, b.callee = &g.ids, callee
	return b
}

// Forward tells wanted of each id that a session's other side dials and that the group
// does not accept. Sessions by HTTP/2 announce what they accept, and are not asked.
func (g *Group) Forward(wanted func(id uint32)) {
	g.listeners.Forward(wanted)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.forwards = true
}

// CloseAccepted closes what is accepted now by brokers of the group.
func (g *Group) CloseAccepted() {
	g.mu.Lock()
	accepted := slices.Collect(maps.Keys(g.accepted))
	g.mu.Unlock()
	for _, lis := range accepted {
		_ = lis.Close()
	}
}

// join makes b bring what the group accepts, until b ends.
func (g *Group) join(b *Broker) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.members[b] = struct{}{}
	for lis := range g.accepted {
		lis.reach(b)
	}
	context.AfterFunc(b.ctx, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.members, b)
	})
}

// accept implements transport for brokers of the group.
func (g *Group) accept(_ context.Context, id uint32) (net.Listener, error) {
	lis := &groupListener{Listener: g.listeners.Listen(id), group: g, id: id}
	lis.ctx, lis.end = context.WithCancel(context.Background())
	g.mu.Lock()
	defer g.mu.Unlock()
	g.accepted[lis] = struct{}{}
	for b := range g.members {
		lis.reach(b)
	}
	return lis, nil
}

// dialer is not used: brokers of the group have a callee.
func (*Group) dialer(context.Context, uint32) (dialer, error) {
	return dialer{}, errors.ErrUnsupported
}

// receive is not used: brokers of the group have no link.
func (*Group) receive(message) {}

// groupListener takes the connections that any session brings for one id.
type groupListener struct {
	*rendezvous.Listener
	group *Group
	id    uint32
	ctx   context.Context // ends with the listener
	end   context.CancelFunc
}

// reach lets the other side of b dial l, and does not wait for it.
func (l *groupListener) reach(b *Broker) {
	if b.inSession {
		b.announce(l.id)
	} else {
		go l.acceptFrom(b)
	}
}

// acceptFrom takes the connections of one session until it or l is closed.
func (l *groupListener) acceptFrom(b *Broker) {
	lis, err := b.Accept(l.id)
	if err != nil {
		if l.ctx.Err() == nil && b.ctx.Err() == nil {
			b.logger.Warn("a session cannot be called back", "id", l.id, "error", err)
		}
		return
	}
	defer lis.Close()
	defer context.AfterFunc(l.ctx, func() { _ = lis.Close() })()
	for {
		conn, err := lis.Accept()
		if err != nil {
			return
		}
		go l.admit(b, conn)
	}
}

// admit delivers a connection of a session. The server that gets it serves all
// sessions, so each session's own TLS is spoken here.
func (l *groupListener) admit(b *Broker, conn net.Conn) {
	stop := context.AfterFunc(l.ctx, func() { _ = conn.Close() })
	secure, err := b.secure(conn)
	if !stop() || err != nil {
		_ = conn.Close()
		return
	}
	l.Deliver(secure)
}

// Close stops accepting in every session.
func (l *groupListener) Close() error {
	l.group.mu.Lock()
	delete(l.group.accepted, l)
	l.group.mu.Unlock()
	l.end()
	return l.Listener.Close()
}
