// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/reattach/reattach/host/balancer"
)

// The pause before an endpoint is tried again, when every one has been. It
// doubles with each.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// search is one call's way from endpoint to endpoint. The zero value has been
// nowhere.
type search struct {
	tried   []string
	pause   time.Duration
	sent    bool   // an attempt was sent and lost: the call may have run
	sentTo  string // the last endpoint of such an attempt
	repeats int    // attempts after that, without those that were surely not sent
	cause   error  // why the last endpoint did not take the call
	// refused is an answer of the last endpoint which will not change by asking
	// again. When all others have been tried too, it is the call's error.
	refused error
}

// next picks an endpoint, with a pause if all have been tried. It returns
// refused, or the error of the Router.
func (s *search) next(ctx context.Context, router balancer.Router, protocol string) (balancer.Lease, error) {
	for {
		lease, err := router.Pick(ctx, protocol, s.tried)
		if err != nil {
			return nil, s.explain(err)
		}
		if slices.Contains(s.tried, lease.Endpoint()) {
			if err := s.again(ctx); err != nil {
				lease.Done(balancer.NotSent)
				return nil, err
			}
		}
		if !hasEnded(lease) {
			return lease, nil
		}
		// The router has not noticed yet.
		s.avoid(lease.Endpoint())
		lease.Done(balancer.NotSent)
	}
}

func hasEnded(lease balancer.Lease) bool {
	select {
	case <-lease.Ended():
		return true
	default:
		return false
	}
}

// again waits before an endpoint is tried once more.
func (s *search) again(ctx context.Context) error {
	if s.refused != nil {
		return s.refused
	}
	s.pause = min(max(2*s.pause, firstPause), lastPause)
	timer := time.NewTimer(s.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return s.explain(context.Cause(ctx))
	}
}

// avoid makes the search prefer other endpoints from now on.
func (s *search) avoid(endpoint string) {
	if !slices.Contains(s.tried, endpoint) {
		s.tried = append(s.tried, endpoint)
	}
}

// explain adds to err what the last endpoint had against the call.
func (s *search) explain(err error) error {
	if s.cause == nil {
		return err
	}
	return fmt.Errorf("%w (last attempt: %w)", err, s.cause)
}

// lost notes that an attempt has ended without an answer, and reports whether the
// call may be tried again. sent says that the plugin may have read it.
func (s *search) lost(endpoint string, sent bool, options CallOptions, cause error) bool {
	if sent {
		s.sent, s.sentTo = true, endpoint
		if s.repeats >= options.MaxRepeats() {
			return false
		}
	} else {
		s.unsent()
	}
	s.avoid(endpoint)
	s.cause = cause
	return true
}

// attempt notes that the call is handed to an endpoint. A nil search is that of a
// call which has had no attempt before.
func (s *search) attempt() {
	if s != nil && s.sent {
		s.repeats++
	}
}

// unsent takes attempt back: the endpoint did not take the call, or had surely not read
// it when its session ended.
func (s *search) unsent() {
	if s != nil && s.sent {
		s.repeats--
	}
}

// fault makes the Fault with which a call ends, and is all that does. f is what the
// last attempt came to; a nil search has had no other. What an earlier attempt may
// have run stays true, however the later ones ended.
func (s *search) fault(f Fault) *Fault {
	if s == nil || !s.sent {
		return &f
	}
	f.MayHaveRun = true
	if f.Endpoint == "" {
		f.Endpoint = s.sentTo
	}
	if f.Reason == ReasonUnavailable {
		f.Reason = ReasonLost // and not found an endpoint for its repetition
	}
	return &f
}
