// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/reattach/reattach/host/balancer"
)

// State is what the stubs of one plugin share whose endpoints remember what a host has
// told them. Without it a plugin is taken for stateless: each call goes to any endpoint.
// There are two remedies, and a plugin may have both.
//
//   - Affinity: all calls stay with the endpoint to which the first was sent. When its session
//     ends, or the endpoint is about to leave, they fail with [ErrAffinityLost], as those of a
//     child do that has crashed.
//   - Replay: the last accepted request of the methods with CallOptions.Replay is sent to
//     each endpoint before its first other call, so that one is as good as another. What was
//     accepted last counts: an endpoint runs such requests one after the other, and an older
//     one not last, also when its caller has given up: over gRPC the plugin is not told of that,
//     only of the deadline. There is one exception, where the gRPC of the plugin ends a call at
//     its deadline and the handler goes on: an endpoint may run that when a newer one has been
//     sent to it. That is so over HTTP/2, of a grpc.Server that is the plugin's own, and of the
//     first call of a method to a process. A replay has the timeout of its method. A stream is
//     not replayed.
//
// All methods may be called from any goroutine.
type State struct {
	pinned atomic.Pointer[pin] // changed with mu
	lost   chan struct{}       // closed with the first loss
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

func (s *State) lose() { s.losing.Do(func() { close(s.lost) }) }

// Lost is closed when an endpoint was lost to which calls kept.
func (s *State) Lost() <-chan struct{} { return s.lost }

// Renew lets calls choose an endpoint anew if the one that they kept to was lost. Whoever
// calls it knows that an endpoint may have to be told everything again.
func (s *State) Renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pinned.Load()
	if p == nil {
		return
	}
	if p.begin() {
		p.Lease.Done(balancer.NotSent)
		return
	}
	s.pinned.Store(nil)
	p.forget()
}

// Close ends what watches over an endpoint. Calls with affinity fail from then on.
func (s *State) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if p := s.pinned.Swap(nil); p != nil {
		p.forget()
	}
}
