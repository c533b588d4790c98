// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"testing"

	"github.com/reattach/reattach/host/balancer"
)

// keptLease is a lease of an endpoint that leaves, or ends, when the test says so.
type keptLease struct {
	id      string
	ended   chan struct{}
	leaving bool
	begins  func() // called by Begin; may be nil
}

func (l *keptLease) Endpoint() string       { return l.id }
func (l *keptLease) Session() any           { return l }
func (l *keptLease) Ended() <-chan struct{} { return l.ended }
func (l *keptLease) Done(balancer.Outcome)  {}

func (l *keptLease) Begin() bool {
	if l.begins != nil {
		l.begins()
	}
	return !l.leaving
}

// inTurn picks one lease after the other.
type inTurn []*keptLease

func (r *inTurn) Pick(context.Context, string, []string) (balancer.Lease, error) {
	next := (*r)[0]
	*r = (*r)[1:]
	return next, nil
}

// TestAffinityOfCallUnderWay has the endpoint leave, or end, while its first call is under way,
// such as a stream: the plugin may remember that call, and no other endpoint does.
func TestAffinityOfCallUnderWay(t *testing.T) {
	cases := map[string]struct {
		outcome balancer.Outcome
		lost    bool
	}{
		"it was answered":   {balancer.Answered, true},
		"it was lost":       {balancer.Lost, true},
		"it was never sent": {balancer.NotSent, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := NewState()
			defer s.Close()
			first := &keptLease{id: "first", ended: make(chan struct{})}
			router := s.Keeping(&inTurn{first, {id: "second", ended: make(chan struct{})}})
			call, err := router.Pick(t.Context(), "", nil)
			if err != nil {
				t.Fatal(err)
			}
			if !Hand(call) {
				t.Fatal("the endpoint is ready")
			}
			first.leaving = true
			close(first.ended)
			call.Done(tc.outcome)
			if tc.lost {
				<-s.Lost()
			}
			next, err := router.Pick(t.Context(), "", nil)
			if errors.Is(err, ErrAffinityLost) != tc.lost {
				t.Errorf("the next call: %v", err)
			}
			if err == nil {
				next.Done(balancer.NotSent)
			}
		})
	}
	s := NewState()
	defer s.Close()
	first := &keptLease{id: "first", ended: make(chan struct{})}
	router := s.Keeping(&inTurn{first, {id: "second", ended: make(chan struct{})}})
	stream, err := router.Pick(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !Hand(stream) {
		t.Fatal("the endpoint is ready")
	}
	first.leaving = true
	if next, err := router.Pick(t.Context(), "", nil); !errors.Is(err, ErrAffinityLost) {
		t.Errorf("a call beside a stream on an endpoint that leaves went to %v, %v", next, err)
	}
	<-s.Lost()
	stream.Done(balancer.Answered)
}

// A call begins and counts in one step: beside one that has only begun, another call that finds
// the endpoint leaving would go elsewhere.
func TestAffinityCountsWhatBegins(t *testing.T) {
	s := NewState()
	defer s.Close()
	kept := &keptLease{id: "first", ended: make(chan struct{})}
	router := s.Keeping(&inTurn{kept})
	first, err := router.Pick(t.Context(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	first.Done(balancer.NotSent)
	begun := 0
	kept.begins = func() {
		if begun++; s.pinned.Load().mu.TryLock() {
			t.Error("others may look while a call begins")
		}
	}
	second, err := router.Pick(t.Context(), "", nil)
	if err != nil || begun != 1 {
		t.Fatalf("began %d times, %v", begun, err)
	}
	second.Done(balancer.NotSent)
}
