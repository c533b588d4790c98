// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/reattach/reattach/host/balancer"
)

// pin is the session to which calls keep. It holds no lease while there is no call, so
// that nothing waits for it. Until a request is handed to the session another one may take
// its place, if this one can have no more calls, or a call could not be sent there.
type pin struct {
	balancer.Lease
	state   *State
	begin   func() bool   // of the Lease
	dropped chan struct{} // closed when calls keep to it no more

	mu     sync.Mutex
	handed int  // calls that were handed to it and have not ended
	used   bool // such a call has ended, and may have been sent
	ended  bool // the session has
	gone   bool // calls keep to it no more
}

// isTold reports whether the session may have been told something. p.mu is held.
func (p *pin) isTold() bool { return p.used || p.handed > 0 }

// take begins a call on it, unless it was told nothing and the call has tried it in vain.
// Without a lease, told reports whether the session may have been told something.
func (p *pin) take(tried []string) (lease *pinLease, told bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.gone, !p.isTold() && slices.Contains(tried, p.Endpoint()):
		return nil, false
	case !p.begin():
		return nil, p.isTold()
	}
	return &pinLease{pin: p, open: 1}, true
}

// drop makes calls keep to it no more, unless the session may have been told something.
func (p *pin) drop() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.isTold() {
		return false
	}
	p.end()
	return true
}

// forget makes calls keep to it no more, whatever it was told.
func (p *pin) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

// end does so. p.mu is held, and State.mu.
func (p *pin) end() {
	p.gone = true
	close(p.dropped)
}

// watch tells of the session's end, until calls keep to it no more.
func (p *pin) watch() {
	select {
	case <-p.Ended():
		p.mu.Lock()
		p.ended = true // A call that is under way says what has become of it.
		lost := p.used && !p.gone
		p.mu.Unlock()
		if lost {
			p.state.lose()
		}
	case <-p.dropped:
	}
}

// pin makes calls keep to the session of a lease, which becomes the lease of a call. It
// gives nothing if calls keep to another one than old by now, or old was told something.
func (s *State) pin(old *pin, lease balancer.Lease) (balancer.Lease, error) {
	again, ok := lease.(balancer.Renewable)
	if !ok {
		lease.Done(balancer.NotSent)
		return nil, fmt.Errorf("affinity to %s: %w", lease.Endpoint(), errors.ErrUnsupported)
	}
	p := &pin{Lease: lease, state: s, begin: again.Begin, dropped: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		lease.Done(balancer.NotSent)
		return nil, errStubClosed
	case s.pinned.Load() != old, old != nil && !old.drop():
		lease.Done(balancer.NotSent)
		return nil, nil
	}
	s.pinned.Store(p)
	go p.watch()
	return &pinLease{pin: p, open: 1}, nil
}

// pinLease is a call on a pin. With Begin it is several, of which each is given back.
type pinLease struct {
	*pin
	open   int  // calls that have not ended; guarded by pin.mu, as is handed
	handed bool // something may be on its way to the endpoint
}

// Begin implements balancer.Renewable.
func (l *pinLease) Begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.begin() {
		return false
	}
	l.open++
	return true
}

// hand implements Hand. An endpoint that leaves is not told its first request.
func (l *pinLease) hand() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.gone:
		return false
	case l.handed:
		return true
	case !l.isTold():
		if !l.begin() {
			return false
		}
		l.Lease.Done(balancer.NotSent)
	}
	l.handed = true
	l.pin.handed++
	return true
}

// Done implements balancer.Lease.
func (l *pinLease) Done(o balancer.Outcome) {
	l.mu.Lock()
	l.open--
	if l.handed {
		l.used = l.used || o != balancer.NotSent
		if l.open == 0 {
			l.handed = false
			l.pin.handed--
		}
	}
	lost := l.used && l.ended && !l.gone
	l.mu.Unlock()
	if lost {
		l.state.lose()
	}
	l.Lease.Done(o)
}

// Hand asks a lease of [State.Keeping] just before anything is sent to its endpoint. With
// true, calls keep to the endpoint from then on, unless Done says that nothing was sent. With
// false it must have nothing, as calls keep to another one or it leaves: give the lease back,
// and pick again. Any other lease says true.
func Hand(lease balancer.Lease) bool {
	switch l := lease.(type) {
	case *pinLease:
		return l.hand()
	case *turnLease:
		return Hand(l.Lease)
	case borrowed:
		return Hand(l.Lease)
	}
	return true
}

var errLeft = errors.New("the endpoint left before the call was sent to it")

// keeping is a Router that picks one endpoint of the next one, and keeps to it.
type keeping struct {
	state *State
	next  balancer.Router
}

// Keeping gives a Router that picks one endpoint of next, and keeps to it, for those who
// make calls without a stub. They ask [Hand] before they send anything.
func (s *State) Keeping(next balancer.Router) balancer.Router { return &keeping{s, next} }

// Pick implements balancer.Router.
func (k *keeping) Pick(ctx context.Context, protocol string, tried []string) (balancer.Lease, error) {
	for {
		p := k.state.pinned.Load()
		if p != nil {
			switch lease, told := p.take(tried); {
			case lease != nil:
				return lease, nil
			case told:
				k.state.lose()
				return nil, ErrAffinityLost
			}
		}
		lease, err := k.next.Pick(ctx, protocol, tried)
		if err != nil {
			return nil, err
		}
		if p != nil && slices.Contains(tried, lease.Endpoint()) { // no other one has a better chance
			if again, _ := p.take(nil); again != nil {
				lease.Done(balancer.NotSent)
				return again, nil
			}
		}
		if mine, err := k.state.pin(p, lease); mine != nil || err != nil {
			return mine, err
		}
	}
}
