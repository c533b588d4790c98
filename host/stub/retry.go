// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reattach/reattach/host/balancer"
)

// The backoff of a call before an endpoint is tried again, when every one has been. It
// doubles with each.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = 500 * time.Millisecond
)

// DefaultRepeats is how often an idempotent call is repeated whose method does
// not say it.
const DefaultRepeats = 1

// NoRepeats is the CallOptions.Repeats of an idempotent method that is not
// repeated all the same.
const NoRepeats = -1

// MaxRepeats gives how often a call may be repeated after it may have run: zero if
// the method is not idempotent.
func (o CallOptions) MaxRepeats() int {
	switch {
	case !o.Idempotent || o.Repeats < 0:
		return 0
	case o.Repeats == 0:
		return DefaultRepeats
	}
	return o.Repeats
}

// callState is what a call is of and what became of its attempts, over both protocols.
type callState struct {
	*calledMethod
	began  time.Duration // when, by the clock of its stub; see callConfig.now
	handed time.Duration // from began until the last endpoint got it

	trace    *callTrace  // nil: nobody follows the call
	attempts int         // times that the call was handed to an endpoint
	retry    *retryState // nil until an attempt has failed, as few do
}

// retryState is what the next attempt has to know of those before.
type retryState struct {
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

// methodOf turns "Plugin.Greet" and "/hello.Greeter/Greet" into "Greet".
func methodOf(name string) string { return name[strings.LastIndexAny(name, "./")+1:] }

// retries gives the retry state, with zero values before anything has failed.
func (s *callState) retries() *retryState {
	if s.retry == nil {
		s.retry = new(retryState)
	}
	return s.retry
}

// wasSent reports whether an attempt was sent and lost.
func (s *callState) wasSent() bool { return s.retry != nil && s.retry.sent }

// next picks an endpoint, after a pause if all have been tried. It returns refused, or
// the error of the Router.
func (s *callState) next(ctx context.Context, router balancer.Router, protocol string) (balancer.Lease, error) {
	var tried []string
	if s.retry != nil {
		tried = s.retry.tried
	}
	lease, err := router.Pick(ctx, protocol, tried)
	if err != nil {
		return nil, s.explain(err)
	}
	if slices.Contains(tried, lease.Endpoint()) {
		if err := s.backOff(ctx); err != nil {
			lease.Done(balancer.NotSent)
			return nil, err
		}
	}
	return lease, nil
}

// backOff waits before an endpoint is tried once more.
func (s *callState) backOff(ctx context.Context) error {
	if s.retry.refused != nil {
		return s.retry.refused
	}
	s.retry.pause = min(max(2*s.retry.pause, firstPause), lastPause)
	timer := time.NewTimer(s.retry.pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return s.explain(context.Cause(ctx))
	}
}

// avoid makes next prefer other endpoints from now on. cause is why this one did not
// take the call.
func (s *callState) avoid(endpoint string, cause error) {
	s.trace.failed(false, cause)
	r := s.retries()
	if !slices.Contains(r.tried, endpoint) {
		r.tried = append(r.tried, endpoint)
	}
	r.cause = cause
}

// explain adds to err what the last endpoint had against the call.
func (s *callState) explain(err error) error {
	if s.retry == nil || s.retry.cause == nil {
		return err
	}
	return fmt.Errorf("%w (last attempt: %w)", err, s.retry.cause)
}

// attempt notes that the call is handed to an endpoint.
func (s *callState) attempt() {
	s.attempts++
	if s.wasSent() {
		s.retry.repeats++
	}
}

// notSent takes back that the last attempt was a repeat: the endpoint did not take the
// call, or had surely not read it when its session ended.
func (s *callState) notSent() {
	if s.wasSent() {
		s.retry.repeats--
	}
}

// lost notes that an attempt has ended without an answer, and reports whether the
// call may be tried again. sent says that the plugin may have read it.
func (s *callState) lost(endpoint string, sent bool, cause error) bool {
	if !sent {
		s.notSent()
	} else {
		r := s.retries()
		r.sent, r.sentTo = true, endpoint
		if r.repeats >= s.options.MaxRepeats() {
			return false
		}
	}
	s.trace.failed(sent, cause)
	s.avoid(endpoint, cause)
	return true
}

// fault makes the Fault with which a call ends, and is all that does. f is what the
// last attempt came to. What an earlier attempt may have run stays true, however the
// later ones ended.
func (s *callState) fault(f Fault) *Fault {
	f.Method = s.method
	if !s.wasSent() {
		return &f
	}
	f.MayHaveRun = true
	if f.Endpoint == "" {
		f.Endpoint = s.retry.sentTo
	}
	if f.Reason == ReasonUnavailable {
		f.Reason = ReasonLost // and not found an endpoint for its repetition
	}
	return &f
}
