// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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

	outcome balancer.Outcome // of the call for which it was sent
}

// Error implements error.
func (e *ReplayError) Error() string {
	_, failed := Cause(e.Err)
	_, notRun := errors.AsType[notRunError](e.Err)
	if failed || notRun && !isRefused(e.Err) || errors.Is(e.Err, plugin.ErrConnectionLost) || errors.Is(e.Err, ErrTimeout) {
		return fmt.Sprintf("the replay of %s to %s failed: %v", e.Method, e.Endpoint, e.Err)
	}
	return fmt.Sprintf("the replay of %s was refused by %s: %v", e.Method, e.Endpoint, e.Err)
}

// Unwrap returns the plugin's answer.
func (e *ReplayError) Unwrap() error { return e.Err }

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
	// timeout is its method's, of which each endpoint is told to which it is sent again.
	timeout time.Duration
	// request is what the stub needs to send it again.
	request any
}

// replayed is what one session has had.
type replayed struct {
	ended <-chan struct{}
	had   map[string]uint64 // numbers, by method; guarded by replays.mu
	// turn holds an item while a request is under way on the session that an endpoint
	// remembers, whether a caller has made it or it is sent again, until the endpoint
	// has answered. So an older one is not the last that an endpoint runs, but for one that
	// State names: the plugin's gRPC has answered for it, and the endpoint may run it yet.
	turn chan struct{}
	// holder has that turn, or had it last.
	holder atomic.Pointer[turnHolder]
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
func (r *replays) accepted(lease balancer.Lease, called *calledMethod, request any) {
	method := called.name
	s := r.session(lease)
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []recordedRequest
	number := uint64(1)
	if old := r.recorded.Load(); old != nil {
		number = (*old)[len(*old)-1].number + 1
		all = slices.DeleteFunc(slices.Clone(*old), func(o recordedRequest) bool { return o.method == method })
	}
	all = append(all, recordedRequest{method, number, called.options.Timeout, request})
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

// has notes that a session has had a request.
func (r *replays) has(s *replayed, q recordedRequest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.had[q.method] = max(s.had[q.method], q.number)
}
