// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/reattach/reattach/host/balancer"
)

// State is what the stubs of one plugin share whose endpoints remember what a host has
// told them. Without it a plugin is taken for stateless: each call goes to any endpoint.
// There are two remedies, and a plugin may have both.
//
//   - Affinity: all calls stay with the endpoint of the first. When its session ends, or
//     the endpoint is about to leave, they fail with [ErrAffinityLost], as those of a
//     child do that has crashed.
//   - Replay: the last accepted request of the methods with CallOptions.Replay is sent to
//     each endpoint before its first other call, so that one is as good as another. What was
//     accepted last counts: an endpoint runs such requests one after the other, and an older
//     one not last, also when its caller has given up: over gRPC the plugin is not told of that,
//     only of the deadline. There is one exception, where a plugin's own gRPC ends a call at its
//     deadline and the handler goes on: an endpoint may run that when a newer one has been sent
//     to it. A replay has the timeout of its method. A stream is not replayed.
//
// All methods may be called from any goroutine.
type State struct {
	pinned atomic.Pointer[pin]
	lost   chan struct{} // closed with the first loss
	losing sync.Once

	mu      sync.Mutex
	closed  bool
	replays map[string]*replays // by kind over net/rpc; "" over gRPC
}

// NewState returns a State that knows nothing. The caller closes it, after the stubs.
func NewState() *State { return &State{lost: make(chan struct{}), replays: make(map[string]*replays)} }

// ErrAffinityLost is matched by the errors of calls that were to go to an endpoint which
// was lost, or which leaves. It may have been the only one that knew what this host has told it.
var ErrAffinityLost = errors.New("the endpoint that this host keeps to was lost")

// pin is the session to which calls keep. It holds no lease while there is no call, so
// that nothing waits for it.
type pin struct {
	balancer.Lease
	state   *State
	begin   func() bool   // of the Lease
	dropped chan struct{} // closed when calls keep to it no more

	mu    sync.Mutex
	open  int  // calls that have it and have not ended: they may have been handed to it
	used  bool // a call that was handed to it has ended
	ended bool // the session has
}

// take begins a call on it. Where that cannot be, told reports whether the session may have
// been told something.
func (p *pin) take() (begun, told bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.begin() {
		p.open++
		return true, true
	}
	return false, p.used || p.open > 0
}

// Begin implements balancer.Renewable.
func (p *pin) Begin() bool {
	begun, _ := p.take()
	return begun
}

// Done implements balancer.Lease.
func (p *pin) Done(o balancer.Outcome) {
	p.mu.Lock()
	p.open--
	p.used = p.used || o != balancer.NotSent
	lost := p.used && p.ended
	p.mu.Unlock()
	if lost {
		p.state.lose()
	}
	p.Lease.Done(o)
}

// keeping is a Router that picks one endpoint of the next one, and keeps to it.
type keeping struct {
	state *State
	next  balancer.Router
}

// Keeping gives a Router that picks one endpoint of next, and keeps to it, for those who
// make calls without a stub.
func (s *State) Keeping(next balancer.Router) balancer.Router { return &keeping{s, next} }

// Pick implements balancer.Router.
func (k *keeping) Pick(ctx context.Context, protocol string, tried []string) (balancer.Lease, error) {
	for {
		p := k.state.pinned.Load()
		if p != nil {
			switch begun, told := p.take(); {
			case begun:
				return p, nil
			case told:
				k.state.lose()
				return nil, ErrAffinityLost
			}
		}
		lease, err := k.next.Pick(ctx, protocol, tried)
		if err != nil {
			return nil, err
		}
		if mine, err := k.state.pin(p, lease); mine != nil || err != nil {
			return mine, err
		}
	}
}

// pin makes calls keep to the session of a lease, which becomes the lease of a call. It
// gives nothing if somebody else was quicker.
func (s *State) pin(old *pin, lease balancer.Lease) (balancer.Lease, error) {
	again, ok := lease.(balancer.Renewable)
	if !ok {
		lease.Done(balancer.NotSent)
		return nil, fmt.Errorf("affinity to %s: %w", lease.Endpoint(), errors.ErrUnsupported)
	}
	p := &pin{Lease: lease, state: s, begin: again.Begin, dropped: make(chan struct{}), open: 1}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		lease.Done(balancer.NotSent)
		return nil, errStubClosed
	case !s.pinned.CompareAndSwap(old, p):
		lease.Done(balancer.NotSent)
		return nil, nil
	}
	if old != nil {
		close(old.dropped)
	}
	go func() {
		select {
		case <-p.Ended():
			p.mu.Lock()
			p.ended = true // A call that is under way says what has become of it.
			lost := p.used
			p.mu.Unlock()
			if lost {
				s.lose()
			}
		case <-p.dropped:
		}
	}()
	return p, nil
}

func (s *State) lose() { s.losing.Do(func() { close(s.lost) }) }

// Lost is closed when an endpoint was lost to which calls kept.
func (s *State) Lost() <-chan struct{} { return s.lost }

// Renew lets calls choose an endpoint anew if the one that they kept to was lost. Whoever
// calls it knows that an endpoint may have to be told everything again.
func (s *State) Renew() {
	p := s.pinned.Load()
	if p == nil {
		return
	}
	if p.begin() {
		p.Lease.Done(balancer.NotSent)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pinned.CompareAndSwap(p, nil) {
		close(p.dropped)
	}
}

// Close ends what watches over an endpoint. Calls with affinity fail from then on.
func (s *State) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if p := s.pinned.Swap(nil); p != nil {
		close(p.dropped)
	}
}
