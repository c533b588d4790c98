// SPDX-License-Identifier: MPL-2.0

// Package stub makes stubs that never die: every call of a stub is routed to
// an endpoint that is ready at that moment.
package stub

import (
	"context"
	"net"
	"time"

	"google.golang.org/grpc"
)

// RPCSession is a session that speaks net/rpc.
type RPCSession interface {
	// OpenRPC asks the plugin to serve a kind on a stream of its own: net/rpc
	// with gob, service name "Plugin". The caller closes the stream.
	OpenRPC(kind string) (net.Conn, error)
}

// GRPCSession is a session that speaks gRPC.
type GRPCSession interface {
	// ClientConn is the session's connection; the session closes it. It reports
	// false if the session does not speak gRPC.
	ClientConn() (*grpc.ClientConn, bool)
}

// Router picks an endpoint for one call. The fleet implements it, one for each
// plugin.
type Router interface {
	// Pick returns a lease on a ready endpoint whose session speaks protocol
	// ("netrpc" or "grpc"), preferring endpoints that are not in tried. With
	// none ready it waits until one is, or until ctx ends: the error then says
	// why none is ready. With one ready it takes no lock and does no I/O.
	Pick(ctx context.Context, protocol string, tried []string) (Lease, error)
}

// Lease is one call on one endpoint.
type Lease interface {
	// Endpoint is the endpoint's ID.
	Endpoint() string
	// Session is an RPCSession or a GRPCSession. Two leases of one session
	// return the same value, which may be compared and used as a map key.
	Session() any
	// Ended is closed when the session has ended.
	Ended() <-chan struct{}
	// Done gives the lease back, once, when the call has ended.
	Done(Outcome)
}

// Outcome says how a call ended, for balancing, ejection and metrics.
type Outcome uint8

const (
	// Answered: the plugin answered, with a result or with its own error.
	Answered Outcome = iota
	// Lost: the session ended before the answer.
	Lost
	// TimedOut: there was no answer within the call's deadline.
	TimedOut
	// NotSent: the call never left this process.
	NotSent
)

// CallOptions are what a host declares of one method.
type CallOptions struct {
	// Timeout bounds one call, all attempts together; zero is the kind's.
	Timeout time.Duration
	// Idempotent says that the method may be repeated on another endpoint when
	// its first run may or may not have happened.
	Idempotent bool
}

// Methods gives the options of a method by its name in the Go interface
// ("Greet"). It never changes.
type Methods interface {
	Options(method string) CallOptions
}

// Observer is told of every call that a stub has made. It must not block.
type Observer interface {
	Called(method, endpoint string, took time.Duration, attempts int, err error)
}
