// SPDX-License-Identifier: MPL-2.0

package plugin

import (
	"context"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin/internal/broker"
)

// errSecondBroker is what the calls of a host end with that needs callbacks where another
// one has them.
var errSecondBroker = status.Error(codes.FailedPrecondition,
	"the plugin's process has one gRPC broker, and another host uses it for callbacks: give each host a process of its own (--share=host)")

// relayedBroker is the one broker of a gRPC child. One host at a time can have it: ids
// of several would be the same.
type relayedBroker struct {
	engine *broker.Broker // this side of it

	mu     sync.Mutex // guards these
	users  map[*brokerUser]struct{}
	owner  *brokerUser // nil: nobody
	bridge *broker.Bridge
}

// brokerUser is a session of a relay as its child's broker sees it.
type brokerUser struct {
	host   string         // as it calls itself; empty: it does not
	engine *broker.Broker // this side of the session's broker
	// refuse is called when the session needs callbacks and cannot have them.
	refuse context.CancelCauseFunc
	calls  func() int // in flight
	told   *acceptedIDs
}

// maxHeldIDs bounds the ids that a host accepts before it has a child.
const maxHeldIDs = 1024

// acceptedIDs are those that a host says it accepts. A host without the handshake may say
// so before its first call, which has its child chosen.
type acceptedIDs struct {
	mu   sync.Mutex
	held []uint32
	to   func(id uint32) // nil: there is no child yet
}

func (a *acceptedIDs) accept(id uint32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.to != nil:
		a.to(id)
	case len(a.held) < maxHeldIDs:
		a.held = append(a.held, id)
	}
}

// release passes on what was said, and what will be.
func (a *acceptedIDs) release(to func(id uint32)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range a.held {
		to(id)
	}
	a.held, a.to = nil, to
}

func newRelayedBroker(engine *broker.Broker) *relayedBroker {
	b := &relayedBroker{engine: engine, users: map[*brokerUser]struct{}{}}
	engine.OnAccepted(b.childAccepts)
	return b
}

// add counts a session in.
func (b *relayedBroker) add(u *brokerUser) {
	b.mu.Lock()
	b.users[u] = struct{}{}
	b.mu.Unlock()
	u.told.release(func(id uint32) { b.hostAccepts(u, id) })
}

// remove counts a session out, and ends what it has brokered.
func (b *relayedBroker) remove(u *brokerUser) {
	u.engine.OnAccepted(nil)
	b.mu.Lock()
	delete(b.users, u)
	var bridge *broker.Bridge
	if b.owner == u {
		b.owner, bridge = nil, b.bridge
	}
	b.mu.Unlock()
	if bridge != nil {
		bridge.Close()
	}
}

// ownLocked gives the broker to a session, if it is free or another session's of the
// same host.
func (b *relayedBroker) ownLocked(u *brokerUser) bool {
	if b.owner == u {
		return true
	}
	if b.owner != nil {
		if u.host == "" || u.host != b.owner.host {
			return false
		}
		go b.bridge.Close()
	}
	b.owner, b.bridge = u, broker.NewBridge()
	return true
}

// hostAccepts lets the child dial what a host accepts.
func (b *relayedBroker) hostAccepts(u *brokerUser, id uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, stays := b.users[u]; !stays {
		return // It has ended meanwhile, and would keep the broker for ever.
	}
	if !b.ownLocked(u) {
		u.refuse(errSecondBroker)
		return
	}
	b.bridge.Offer(id, u.engine, b.engine)
}

// childAccepts lets a host dial what the child accepts: the one that uses the broker, or
// the only one that has called.
func (b *relayedBroker) childAccepts(id uint32) {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.owner
	if u == nil {
		u = b.callerLocked()
	}
	if u != nil && b.ownLocked(u) {
		b.bridge.Offer(id, b.engine, u.engine)
	}
}

// callerLocked is the session whose call made the child accept something, if that is
// certain.
func (b *relayedBroker) callerLocked() (caller *brokerUser) {
	for u := range b.users {
		if u.calls() == 0 {
			continue
		}
		if caller != nil {
			return nil
		}
		caller = u
	}
	return caller
}
