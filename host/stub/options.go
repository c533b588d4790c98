// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"time"

	"github.com/reattach/reattach/host/balancer"
)

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
	// Replay has the last request of the method that a plugin has accepted sent to each
	// other endpoint before its first other call, as [State] says: the method configures
	// the plugin, and may run once for each endpoint. It is a unary method over gRPC.
	Replay bool
	// Stream says that the method opens a stream over gRPC. Timeout then bounds
	// only the wait for an endpoint: a stream ends when its caller or the plugin
	// ends it.
	Stream bool
}

// unanswered is the outcome of a call that ended at a deadline. It counts against an
// endpoint only if that had at least half of the time that the method may take: a caller
// may be less patient, and a call may have spent its time on the way to the endpoint.
func (o CallOptions) unanswered(had time.Duration) balancer.Outcome {
	if had < o.Timeout/2 {
		return balancer.Abandoned
	}
	return balancer.TimedOut
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
	// TraceID is the ID of the trace that shows the call, as a Trace gave it; mostly empty.
	TraceID string
}
