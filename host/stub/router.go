// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"time"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/reattach/reattach/host/route"
)

// RPCSession is a session that speaks net/rpc.
type RPCSession interface {
	// OpenRPC asks the plugin to serve a kind on a channel of its own, under the
	// service name "Plugin". The channel ends with the session at the latest. The
	// caller closes it.
	OpenRPC(kind string) (plugin.RPCChannel, error)
}

// GRPCSession is a session that speaks gRPC.
type GRPCSession interface {
	// ClientConn is the session's connection; the session closes it. It reports
	// false if the session does not speak gRPC.
	ClientConn() (*grpc.ClientConn, bool)
}

// MuxBrokerSession is an RPCSession on which the plugin can be dialled: after
// an answer that names a broker id.
type MuxBrokerSession interface {
	// MuxBroker is the session's own broker.
	MuxBroker() *plugin.MuxBroker
}

// GRPCBrokerSession is the same for a GRPCSession.
type GRPCBrokerSession interface {
	// GRPCBroker is the session's own broker.
	GRPCBroker() *plugin.GRPCBroker
}

// What a stub and a fleet say to each other, under the names that stubs use.
type (
	// Router picks an endpoint for one call.
	Router = route.Router
	// Lease is one call on one endpoint. Its Session is an [RPCSession] or a
	// [GRPCSession].
	Lease = route.Lease
	// Outcome says how a call ended.
	Outcome = route.Outcome
)

// The outcomes of a call; see package route.
const (
	Answered  = route.Answered
	Lost      = route.Lost
	TimedOut  = route.TimedOut
	NotSent   = route.NotSent
	Abandoned = route.Abandoned
)

// unanswered is the outcome of a call that ended at a deadline. It counts against an
// endpoint only if that had at least half of the time that the method may take: a caller
// may be less patient, and a call may have spent its time on the way to the endpoint.
func (o CallOptions) unanswered(had time.Duration) Outcome {
	if had < o.Timeout/2 {
		return Abandoned
	}
	return TimedOut
}

// CallOptions are what a host declares of one method.
type CallOptions struct {
	// Timeout bounds one call, all attempts together; zero is the kind's.
	Timeout time.Duration
	// Idempotent says that the method may be repeated on another endpoint when
	// its first run may or may not have happened.
	Idempotent bool
	// Repeats is how many times at most a call of an idempotent method is sent
	// again after an attempt was lost that may have run. Each may cost another
	// endpoint, where the call itself is what kills them. Zero is
	// [DefaultRepeats]; [NoRepeats] is none. Attempts that were surely not sent
	// do not count: any call goes on to another endpoint after those.
	Repeats int
	// Stream says that the method opens a stream over gRPC. Timeout then bounds
	// only the wait for an endpoint: a stream ends when its caller or the plugin
	// ends it.
	Stream bool
}

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

// Methods gives the options of a method by its name in the Go interface
// ("Greet"). It never changes.
type Methods interface {
	Options(method string) CallOptions
}

// Observer is told of every call that a stub has made. It must not block.
type Observer interface {
	Called(Call)
}

// Call is what an Observer is told of a call or a stream that has ended.
type Call struct {
	// Method is the method's name in the Go interface.
	Method string
	// Endpoint is the ID of the endpoint that had the call last; empty if none had.
	Endpoint string
	// Took is how long the call took, all attempts together.
	Took time.Duration
	// Attempts is how many times the call was handed to an endpoint.
	Attempts int
	// Repeats is how many of these were made although one before may have run.
	Repeats int
	// Err is what the caller got; nil if the plugin answered with a result.
	Err error
}
