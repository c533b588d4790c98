// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// slowFirst is a Router whose first choice is a slow session, and whose other one is aimed.
type slowFirst struct {
	*aimed
	slow *crewMember
	open chan struct{}
}

// Pick implements balancer.Router.
func (s *slowFirst) Pick(ctx context.Context, protocol string, tried []string) (balancer.Lease, error) {
	if slices.Contains(tried, s.slow.name) {
		return s.aimed.Pick(ctx, protocol, tried)
	}
	lease := crewLease{s.slow}
	lease.Begin()
	return slowLease{lease, &slowSession{s.slow, make(chan struct{}), s.open}}, nil
}

// switched is the Router that a test says.
type switched struct {
	to atomic.Pointer[balancer.Router]
}

// Pick implements balancer.Router.
func (s *switched) Pick(ctx context.Context, protocol string, tried []string) (balancer.Lease, error) {
	return (*s.to.Load()).Pick(ctx, protocol, tried)
}

func ptr[T any](v T) *T { return &v }

// TestLateIsNotSent has the time of a call pass while it waits for an endpoint's channel: it
// does not go on to another endpoint, which nobody would wait for.
func TestLateIsNotSent(t *testing.T) {
	const protocol = plugin.ProtocolNetRPC
	m := startMemories(t, protocol, false)
	router := &aimed{crew: m.crew}
	router.at.Store(m.pods[1])
	open := make(chan struct{})
	t.Cleanup(func() { close(open) })
	slow := &slowFirst{aimed: router, open: open}
	m.crew.await(t, func(ready []*crewMember) bool {
		i := slices.IndexFunc(ready, func(one *crewMember) bool { return one.isOf(m.pods[0]) })
		if i >= 0 {
			slow.slow = ready[i]
		}
		return i >= 0
	})
	turns := new(switched)
	turns.to.Store(ptr[balancer.Router](router))
	m.callWithin = m.caller(t, protocol, Config{Router: turns, Methods: methodOptions{"Configure": {Timeout: channelWait / 4}}})
	m.must(t, "Init", "early", "init early")
	turns.to.Store(ptr[balancer.Router](slow))
	_, err := m.call("Configure", "late")
	if f, ok := Cause(err); !ok || f.MayHaveRun || f.Reason != ReasonUnavailable {
		t.Errorf("a call whose time has passed before it was sent: %v", err)
	}
	turns.to.Store(ptr[balancer.Router](router))
	m.must(t, "Init", "last", "init last")
	if got := m.memories[1].seen(); got != "init early, init last" {
		t.Errorf("the other endpoint was told %q", got)
	}
}
