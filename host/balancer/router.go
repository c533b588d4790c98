// SPDX-License-Identifier: MPL-2.0

package balancer

import (
	"context"
	"fmt"
)

// Router picks an endpoint for one call. The fleet implements it, one for each
// plugin; stubs call it, from any goroutine.
type Router interface {
	// Pick returns a lease on a ready endpoint whose session speaks protocol
	// ("netrpc" or "grpc", or "" for any), preferring endpoints that are not in
	// tried, which holds endpoint IDs. With none ready it waits until one is, or
	// until ctx ends: the error then says why none is ready. With one ready it
	// takes no lock and does no I/O.
	Pick(ctx context.Context, protocol string, tried []string) (Lease, error)
}

// Lease is one call on one endpoint.
type Lease interface {
	// Endpoint is the endpoint's ID.
	Endpoint() string
	// Session is a stub.RPCSession or a stub.GRPCSession. Two leases of one
	// session return the same value, which may be compared and used as a map key.
	Session() any
	// Ended is closed when the session has ended.
	Ended() <-chan struct{}
	// Done gives the lease back when the call has ended. It must be called
	// exactly once for each Pick: leases of one session may be one value.
	Done(Outcome)
}

// Renewable is a Lease whose session can have further calls without a Pick, for those who
// keep to one endpoint.
type Renewable interface {
	Lease
	// Begin counts one more call, which gives the lease back as well. It reports false if
	// the session has ended or its endpoint is about to leave.
	Begin() bool
}

// Outcome says how a call ended, for balancing, ejection and metrics.
type Outcome uint8

const (
	// Answered: the plugin answered, with a result or with its own error.
	Answered Outcome = iota
	// Lost: the session ended before the answer.
	Lost
	// TimedOut: there was no answer by the call's deadline, and the endpoint had
	// enough time for it.
	TimedOut
	// NotSent: the call never left this process.
	NotSent
	// Abandoned: the call was given up for a reason that says nothing of the
	// endpoint, such as its caller's.
	Abandoned
)

// String gives the outcome as metrics name it: "answered", "lost",
// "timed-out", "not-sent" or "abandoned".
func (o Outcome) String() string {
	switch o {
	case Answered:
		return "answered"
	case Lost:
		return "lost"
	case TimedOut:
		return "timed-out"
	case NotSent:
		return "not-sent"
	case Abandoned:
		return "abandoned"
	}
	return fmt.Sprintf("outcome(%d)", uint8(o))
}
