// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"fmt"
	"net/rpc"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Fault is why a call failed that the plugin itself did not answer with an
// error. It is known by its type alone, over net/rpc and gRPC: no text that a
// plugin sends becomes one. [Cause] finds it however it was wrapped.
type Fault struct {
	Reason Reason
	// Endpoint is the ID of the endpoint that had the call last, or empty if
	// none had it.
	Endpoint string
	// Method is the method's name in the Go interface. It is empty if none was called yet,
	// as the plugin's stub could not be had.
	Method string
	// MayHaveRun says that a plugin may have run the call, as one of its attempts
	// was sent. If not, it surely has not.
	MayHaveRun bool
	// Err is what lies behind, and may be nil.
	Err error
}

// Reason is what sort of failure a Fault is.
type Reason uint8

const (
	// ReasonLost: the session ended before the answer.
	ReasonLost Reason = iota
	// ReasonTimeout: an endpoint had the call and did not answer within the
	// method's timeout.
	ReasonTimeout
	// ReasonUnavailable: no endpoint took the call in time. It was never sent: a
	// call that was, and that found no endpoint for its repetition, is lost. Nor does any
	// take one once the host has ended: Err then matches what the host says of that.
	ReasonUnavailable
	// ReasonArguments: what the caller gave could not be sent. The arguments cannot be
	// encoded, or have more bytes than a message may; or, over gRPC, credentials or an
	// interceptor of the host's failed. Of a stream that was open it is one of its messages,
	// and what came before may have run.
	ReasonArguments
	// ReasonAnswer: the plugin answered something that cannot be decoded as
	// what the caller expects.
	ReasonAnswer
	// ReasonCaller: the caller ended the call. It cancelled its context, its own
	// deadline passed while an endpoint had the call, or it closed the stub. Err
	// matches context.Canceled, context.DeadlineExceeded or rpc.ErrShutdown.
	ReasonCaller
)

// Source says on whose side a call failed.
type Source string

// The sources of errors, as metrics name them.
const (
	SourceNone    Source = "none"    // the call did not fail
	SourceCaller  Source = "caller"  // who called did not wait for the answer
	SourceHost    Source = "host"    // the host could not send what it was given
	SourceNetwork Source = "network" // no endpoint took the call, or it was not answered, or lost
	SourcePlugin  Source = "plugin"  // the plugin answered with an error, or with what cannot be read
)

// Source is whose failure it is.
func (f *Fault) Source() Source {
	switch f.Reason {
	case ReasonCaller:
		return SourceCaller
	case ReasonArguments:
		return SourceHost
	case ReasonAnswer:
		return SourcePlugin
	}
	return SourceNetwork
}

// Error implements error: "reattach: ", what happened, whether the call may have
// run, and the cause.
func (f *Fault) Error() string {
	var what string
	switch f.Reason {
	case ReasonLost:
		what = "connection to " + f.Endpoint + " lost during " + f.Method
	case ReasonTimeout:
		what = "no answer in time to " + f.Method
		if f.Endpoint != "" {
			what = "no answer in time from " + f.Endpoint + " to " + f.Method
		}
	case ReasonAnswer:
		what = "unreadable answer from " + f.Endpoint + " to " + f.Method
	case ReasonArguments:
		what = "arguments cannot be encoded for " + f.Method
		if _, ok := f.grpcStatus(); ok { // which says whether it is the arguments
			what = "gRPC did not take what was given for " + f.Method
		}
	case ReasonCaller:
		what = "the caller ended " + f.Method
		if f.Endpoint != "" {
			what += " on " + f.Endpoint
		}
	default:
		what = "no endpoint took " + f.Method
	}
	if f.Method == "" && f.Err != nil {
		return "reattach: " + f.Err.Error() // there was no call
	}
	text := "reattach: " + what + "; it was not sent"
	if f.MayHaveRun {
		text = "reattach: " + what + "; it may have run"
	}
	if f.Err != nil {
		text += ": " + f.Err.Error()
	}
	return text
}

// Unwrap returns what lies behind.
func (f *Fault) Unwrap() error { return f.Err }

// As lets errors.As find an rpc.ServerError with the Fault's text, for callers of
// an rpc.Client who treat every other error as the end of their client. A type
// switch finds the *Fault itself: an rpc.ServerError is what a plugin answered.
func (f *Fault) As(target any) bool {
	text, ok := target.(*rpc.ServerError)
	if ok {
		*text = rpc.ServerError(f.Error())
	}
	return ok
}

// GRPCStatus gives the Fault the code that gRPC callers expect: Unavailable,
// DeadlineExceeded, Canceled or Internal. What gRPC did not take has the code that gRPC, the
// credentials or the interceptor gave, and arguments over net/rpc have InvalidArgument.
func (f *Fault) GRPCStatus() *status.Status {
	code := codes.Unavailable
	switch f.Reason {
	case ReasonTimeout:
		code = codes.DeadlineExceeded
	case ReasonArguments:
		code = codes.InvalidArgument
		if own, ok := f.grpcStatus(); ok {
			code = own.Code()
		}
	case ReasonAnswer:
		code = codes.Internal
	case ReasonCaller:
		code = codes.Canceled
		if errors.Is(f.Err, context.DeadlineExceeded) {
			code = codes.DeadlineExceeded
		}
	}
	return status.New(code, f.Error())
}

// grpcStatus is the status that gRPC gave what lies behind, if it did.
func (f *Fault) grpcStatus() (*status.Status, bool) {
	own, ok := status.FromError(f.Err)
	return own, ok && f.Err != nil
}

// Cause finds the Fault in the error of a routed call, however it was wrapped.
// It reports false for an error that the plugin returned, whatever its text: one
// of a plugin that hands on the Fault of a host of its own, too.
func Cause(err error) (*Fault, bool) { return errors.AsType[*Fault](err) }

// SourceOf says on whose side a call failed, and [SourceNone] for nil. An error that is
// no Fault came from the plugin, unless it is the caller's own doing, which is known by
// its identity: a closed client, or a context that the caller ended. A plugin's own
// codes.Canceled or codes.DeadlineExceeded is the plugin's.
func SourceOf(err error) Source {
	if err == nil {
		return SourceNone
	}
	if f, ok := Cause(err); ok {
		return f.Source()
	}
	switch {
	case errors.Is(err, ErrTimeout):
		return SourceNetwork
	case errors.Is(err, rpc.ErrShutdown), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return SourceCaller
	}
	return SourcePlugin
}

// ErrTimeout is the context.Cause of a context that ended because the timeout of
// the method has passed, and not for a reason of the caller's. Whoever bounds a
// call by that timeout before the stub does hands it to context.WithTimeoutCause.
var ErrTimeout = fmt.Errorf("the timeout of the method has passed: %w", context.DeadlineExceeded)

// RefusedError is a plugin's refusal to serve the kind of a net/rpc stub, in the
// plugin's own words. No call was sent.
type RefusedError struct {
	// Kind is what the stub asked for.
	Kind string
	// Err is what the plugin answered: an rpc.ServerError.
	Err error
}

// Error implements error.
func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns the plugin's answer.
func (e *RefusedError) Unwrap() error { return e.Err }
