// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-plugin"

	"github.com/reattach/reattach/host/balancer"
)

// ReplayError says that an endpoint did not take a request that had to be sent to it
// first, and which another endpoint has accepted. The call itself was not sent.
type ReplayError struct {
	// Method is the method whose request was sent again, Endpoint the ID of who refused.
	Method, Endpoint string
	// Err is the plugin's answer, or why there was none.
	Err error
}

// Error implements error.
func (e *ReplayError) Error() string {
	if _, failed := Cause(e.Err); failed || errors.Is(e.Err, plugin.ErrConnectionLost) {
		return fmt.Sprintf("the replay of %s to %s failed: %v", e.Method, e.Endpoint, e.Err)
	}
	return fmt.Sprintf("the replay of %s was refused by %s: %v", e.Method, e.Endpoint, e.Err)
}

// Unwrap returns the plugin's answer.
func (e *ReplayError) Unwrap() error { return e.Err }

// turnError says that a session is busy with another request that endpoints remember. The
// call was not sent.
type turnError struct{ method string }

// Error implements error.
func (e *turnError) Error() string {
	return fmt.Sprintf("the call waits behind another request that the endpoint remembers (%s)", methodOf(e.method))
}

// replays are the requests that each endpoint must have had, and which of them each
// session has had.
type replays struct {
	recorded atomic.Pointer[[]recordedRequest] // ordered by number; replaced as a whole

	mu       sync.Mutex
	sessions map[any]*replayed
}

// recordedRequest is the last request of a method that was accepted.
type recordedRequest struct {
	method string // "/hello.Greeter/Configure" or "Plugin.Configure"
	number uint64 // grows with each that is accepted
	// request is what the stub needs to send it again.
	request any
}

// replayed is what one session has had.
type replayed struct {
	ended <-chan struct{}
	had   map[string]uint64 // numbers, by method; guarded by replays.mu
	// turn holds an item while a request is under way on the session that an endpoint
	// remembers, whether a caller has made it or it is sent again. So an older one is never
	// the last that an endpoint runs.
	turn chan struct{}
	// holder is the method of that request, or of the one before.
	holder atomic.Pointer[string]
}

// take waits for the turn of a request, and gives a turnError when ctx ends first.
func (s *replayed) take(ctx context.Context, method *string) error {
	select {
	case s.turn <- struct{}{}:
		s.holder.Store(method)
		return nil
	case <-ctx.Done():
		return s.busy()
	}
}

func (s *replayed) busy() error {
	if holder := s.holder.Load(); holder != nil {
		return &turnError{*holder}
	}
	return &turnError{"unknown"}
}

// replaysOf gives those of a kind.
func (s *State) replaysOf(kind string) *replays {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.replays[kind]
	if r == nil {
		r = &replays{sessions: make(map[any]*replayed)}
		s.replays[kind] = r
	}
	return r
}

// accepted records a request that an endpoint has accepted. r may be nil.
func (r *replays) accepted(lease balancer.Lease, method string, request any) {
	s := r.session(lease)
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []recordedRequest
	number := uint64(1)
	if old := r.recorded.Load(); old != nil {
		number = (*old)[len(*old)-1].number + 1
		all = slices.DeleteFunc(slices.Clone(*old), func(o recordedRequest) bool { return o.method == method })
	}
	all = append(all, recordedRequest{method, number, request})
	r.recorded.Store(&all)
	s.had[method] = number
}

// session gives what a lease's session has had, and forgets sessions that have ended.
func (r *replays) session(lease balancer.Lease) *replayed {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.sessions[lease.Session()]
	if s == nil {
		for key, other := range r.sessions {
			select {
			case <-other.ended:
				delete(r.sessions, key)
			default:
			}
		}
		s = &replayed{ended: lease.Ended(), had: make(map[string]uint64), turn: make(chan struct{}, 1)}
		r.sessions[lease.Session()] = s
	}
	return s
}

// missing gives what a session has not had, but for the method that is being called.
func (r *replays) missing(s *replayed, called string) (missing []recordedRequest) {
	all := r.recorded.Load()
	if all == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range *all {
		if q.method != called && s.had[q.method] < q.number {
			missing = append(missing, q)
		}
	}
	return missing
}

// isDue reports whether a call must go through prepare. r may be nil.
func (r *replays) isDue(lease balancer.Lease, called *calledMethod) bool {
	switch {
	case r == nil:
		return false
	case called.options.Replay:
		return true
	}
	return r.recorded.Load() != nil && len(r.missing(r.session(lease), called.name)) > 0
}

// prepare sends what a session has not had before a call of a method, one request after
// the other, in the order in which they were accepted: also those that are accepted
// meanwhile. It gives the lease that the call uses instead. The error is a turnError when ctx
// ends first, which says nothing of the endpoint's health, or a ReplayError of what send
// returned.
//
// A request that is sent again outlives the call for which it is, as nobody could say when
// an endpoint runs it that nobody waits for. So send, which runs in a goroutine of its own,
// returns when the endpoint has answered, or when its session or the stub has ended.
func (r *replays) prepare(ctx context.Context, lease balancer.Lease, called *calledMethod, send func(recordedRequest) error) (balancer.Lease, error) {
	s := r.session(lease)
	for {
		if err := s.take(ctx, &called.name); err != nil {
			return nil, err
		}
		missing := r.missing(s, called.name)
		if len(missing) == 0 {
			if called.options.Replay {
				return &turnLease{Lease: lease, replays: r, session: s, method: called.name}, nil
			}
			<-s.turn
			return lease, nil
		}
		next, answer := missing[0], make(chan error, 1)
		s.holder.Store(&next.method)
		go func() {
			err := send(next)
			if err == nil {
				r.has(s, next)
			}
			<-s.turn
			answer <- err
		}()
		select {
		case err := <-answer:
			if err != nil {
				return nil, &ReplayError{Method: methodOf(next.method), Endpoint: lease.Endpoint(), Err: err}
			}
		case <-ctx.Done():
			return nil, s.busy()
		}
	}
}

// has notes that a session has had a request.
func (r *replays) has(s *replayed, q recordedRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.had[q.method] = max(s.had[q.method], q.number)
}

// turnLease is the lease of a call whose request an endpoint remembers. It has the turn of
// the session until the call has ended.
type turnLease struct {
	balancer.Lease
	replays *replays
	session *replayed
	method  string
}

// Done implements balancer.Lease. Of a request without an answer nobody knows whether the
// endpoint has it: the last one that was accepted is sent again.
func (l *turnLease) Done(o balancer.Outcome) {
	if o == balancer.TimedOut || o == balancer.Abandoned {
		l.replays.mu.Lock()
		delete(l.session.had, l.method)
		l.replays.mu.Unlock()
	}
	giveTurn(l)
	l.Lease.Done(o)
}

// giveTurn gives back the turn that a lease may have. It stands for Done where the call
// goes on with the lease that prepare was given.
func giveTurn(lease balancer.Lease) {
	if l, ok := lease.(*turnLease); ok {
		<-l.session.turn
	}
}
