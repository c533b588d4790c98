// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// slowSession opens its channel when it is told to.
type slowSession struct {
	*crewMember
	asked, open chan struct{}
}

// OpenRPC implements RPCSession.
func (s *slowSession) OpenRPC(kind string) (plugin.RPCChannel, error) {
	close(s.asked)
	<-s.open
	return s.crewMember.OpenRPC(kind)
}

// slowLease is a lease on one.
type slowLease struct {
	crewLease
	session *slowSession
}

// Session implements balancer.Lease.
func (l slowLease) Session() any { return l.session }

// firstSlow is a Router whose first lease is slow.
type firstSlow struct {
	*crew
	session *slowSession
}

// Pick implements balancer.Router.
func (f *firstSlow) Pick(ctx context.Context, protocol string, tried []string) (balancer.Lease, error) {
	lease, err := f.crew.Pick(ctx, protocol, tried)
	if err != nil || f.session.crewMember != nil {
		return lease, err
	}
	f.session.crewMember = lease.(crewLease).member
	return slowLease{lease.(crewLease), f.session}, nil
}

// TestAffinityOfFirstCalls has an endpoint leave while the first call waits to be sent to it:
// nothing was told there, so that this call and others keep to another one.
func TestAffinityOfFirstCalls(t *testing.T) {
	const protocol = plugin.ProtocolNetRPC
	m := startMemories(t, protocol, false)
	slow := &slowSession{asked: make(chan struct{}), open: make(chan struct{})}
	m.callWithin = m.caller(t, protocol, Config{Router: &firstSlow{m.crew, slow}, State: m.state, Affinity: true})
	first := m.begin(t.Context(), "Configure", "a")
	<-slow.asked
	for _, p := range m.pods {
		if slow.isOf(p) {
			p.drain(t)
		}
	}
	m.must(t, "Init", "b", "init b")
	close(slow.open)
	if got := <-first; got.err != nil {
		t.Errorf("the first call: %v", got.err)
	}
	told := 0
	for _, one := range m.memories {
		switch got := one.seen(); got {
		case "":
		case "init b, configure a":
			told++
		default:
			t.Errorf("an endpoint was told %q", got)
		}
	}
	if told != 1 {
		t.Errorf("%d endpoints were told both", told)
	}
	select {
	case <-m.state.Lost():
		t.Error("an endpoint is told to be lost that was told nothing")
	default:
	}
}

// TestHand has two calls pick an endpoint that leaves before either is sent.
func TestHand(t *testing.T) {
	s := NewState()
	defer s.Close()
	first := &keptLease{id: "first", ended: make(chan struct{})}
	router := s.Keeping(&inTurn{first, {id: "second", ended: make(chan struct{})}})
	pick := func() balancer.Lease {
		t.Helper()
		lease, err := router.Pick(t.Context(), "", nil)
		if err != nil {
			t.Fatal(err)
		}
		return lease
	}
	one, two := pick(), pick()
	first.leaving = true
	close(first.ended)
	if Hand(one) {
		t.Error("the first request is sent to an endpoint that leaves")
	}
	three := pick()
	if three.Endpoint() != "second" || !Hand(three) || !Hand(three) {
		t.Errorf("the next call was not handed to the second endpoint, but to %s", three.Endpoint())
	}
	if Hand(two) {
		t.Error("calls keep to two endpoints")
	}
	for _, lease := range []balancer.Lease{one, two, three} {
		lease.Done(balancer.TimedOut)
	}
	if four := pick(); four.Endpoint() != "second" {
		t.Errorf("the fourth call went to %s", four.Endpoint())
	}
	select {
	case <-s.Lost():
		t.Error("an endpoint is told to be lost that was told nothing")
	default:
	}
}

// TestAffinityUntold has a call try in vain to be sent to the first endpoint: nothing binds it
// to that, so that it goes on to the second one, and stays there.
func TestAffinityUntold(t *testing.T) {
	s := NewState()
	defer s.Close()
	router := s.Keeping(&inTurn{{id: "first", ended: make(chan struct{})}, {id: "second", ended: make(chan struct{})}})
	for _, pick := range []struct {
		tried []string
		want  string
		hand  bool
	}{
		{nil, "first", false},
		{[]string{"first"}, "second", true},
		{[]string{"first", "second"}, "second", false},
	} {
		lease, err := router.Pick(t.Context(), "", pick.tried)
		if err != nil {
			t.Fatal(err)
		}
		if lease.Endpoint() != pick.want {
			t.Errorf("with %v tried, the call went to %s, want %s", pick.tried, lease.Endpoint(), pick.want)
		}
		outcome := balancer.NotSent
		if pick.hand && Hand(lease) {
			outcome = balancer.Answered
		}
		lease.Done(outcome)
	}
}

// TestAffinityOfOneUntold has two calls try the only endpoint in vain: neither takes it from
// the other.
func TestAffinityOfOneUntold(t *testing.T) {
	s := NewState()
	defer s.Close()
	only := &keptLease{id: "only", ended: make(chan struct{})}
	router := s.Keeping(&inTurn{only, only, only})
	var leases []balancer.Lease
	for _, tried := range [][]string{nil, {"only"}, {"only"}} {
		lease, err := router.Pick(t.Context(), "", tried)
		if err != nil {
			t.Fatal(err)
		}
		leases = append(leases, lease)
	}
	for i, lease := range leases {
		if !Hand(lease) {
			t.Errorf("call %d was not handed over", i+1)
		}
		lease.Done(balancer.Answered)
	}
}

// leaver is an endpoint that leaves after some calls.
type leaver struct {
	keptLease
	calls atomic.Int64
}

// Begin implements balancer.Renewable.
func (l *leaver) Begin() bool { return l.calls.Add(-1) >= 0 }

// leavers gives a new endpoint with each pick.
type leavers struct{}

// Pick implements balancer.Router.
func (leavers) Pick(context.Context, string, []string) (balancer.Lease, error) {
	l := &leaver{keptLease: keptLease{ended: make(chan struct{})}}
	l.calls.Store(rand.Int64N(4))
	return l, nil
}

// TestHandStorm has endpoints leave one after the other under many callers: what is handed
// over is so to one of them.
func TestHandStorm(t *testing.T) {
	for range 200 {
		s := NewState()
		router := s.Keeping(leavers{})
		var handed sync.Map
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				for {
					lease, err := router.Pick(t.Context(), "", nil)
					if errors.Is(err, ErrAffinityLost) {
						return
					} else if err != nil {
						t.Error(err)
						return
					}
					if i%2 == 0 && Hand(lease) {
						handed.Store(lease.Session(), true)
						lease.Done(balancer.Answered)
					} else {
						lease.Done(balancer.NotSent)
					}
				}
			})
		}
		all.Wait()
		n := 0
		for range handed.Range {
			n++
		}
		if n != 1 {
			t.Fatalf("calls were handed to %d endpoints", n)
		}
		s.Close()
	}
}
