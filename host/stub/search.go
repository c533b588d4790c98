// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// The pause before an endpoint is tried again, when every one has been. It
// doubles with each.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// maxRepeats is how often an idempotent call that may have run is sent again.
// A request that kills every plugin which reads it must not go round for ever.
const maxRepeats = 5

// search is one call's way from endpoint to endpoint. The zero value has been
// nowhere.
type search struct {
	tried   []string
	pause   time.Duration
	repeats int   // times that the call was sent after it may have run
	cause   error // why the last endpoint did not take the call
	// refused is an answer of the last endpoint which will not change by asking
	// again. When all others have been tried too, it is the call's error.
	refused error
}

// next picks an endpoint, with a pause if all have been tried. It returns
// refused, or the error of the Router.
func (s *search) next(ctx context.Context, router Router, protocol string) (Lease, error) {
	for {
		lease, err := router.Pick(ctx, protocol, s.tried)
		if err != nil {
			return nil, s.explain(err)
		}
		if slices.Contains(s.tried, lease.Endpoint()) {
			if err := s.again(ctx); err != nil {
				lease.Done(NotSent)
				return nil, err
			}
		}
		if !hasEnded(lease) {
			return lease, nil
		}
		// The router has not noticed yet.
		s.avoid(lease.Endpoint())
		lease.Done(NotSent)
	}
}

func hasEnded(lease Lease) bool {
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

// mayRepeat reports whether a call that was lost may be sent again, and counts
// it.
func (s *search) mayRepeat(mayHaveRun, idempotent bool) bool {
	if !mayHaveRun {
		return true
	}
	if !idempotent || s.repeats == maxRepeats {
		return false
	}
	s.repeats++
	return true
}
