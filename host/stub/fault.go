// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"errors"
	"net/rpc"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Fault is why a call failed that the plugin itself did not answer with an
// error. The errors of routed gRPC calls are Faults; those of net/rpc calls
// are rpc.ServerErrors with a Fault's text, because net/rpc has nothing else
// for the error of one call. [Cause] finds it in both.
type Fault struct {
	Reason Reason
	// Endpoint is the ID of the endpoint that had the call last, or empty if
	// none had it.
	Endpoint string
	// Method is the method's name in the Go interface.
	Method string
	// MayHaveRun says that the plugin may have run the call. If not, it surely
	// has not.
	MayHaveRun bool
	// Err is what lies behind, and may be nil. One that came through net/rpc
	// has kept its text only.
	Err error
}

// Reason is what sort of failure a Fault is.
type Reason uint8

const (
	// ReasonLost: the session ended before the answer.
	ReasonLost Reason = iota
	// ReasonTimeout: an endpoint had the call and did not answer in time.
	ReasonTimeout
	// ReasonUnavailable: no endpoint took the call in time.
	ReasonUnavailable
	// ReasonArguments: the arguments cannot be encoded.
	ReasonArguments
	// ReasonAnswer: the plugin answered something that cannot be decoded as
	// what the caller expects.
	ReasonAnswer
)

// Source says on whose side a failed call failed: "host", "network" or
// "plugin".
type Source string

// The sources of errors, as metrics name them.
const (
	SourceHost    Source = "host"
	SourceNetwork Source = "network"
	SourcePlugin  Source = "plugin"
)

// Source is whose failure it is.
func (f *Fault) Source() Source {
	switch f.Reason {
	case ReasonArguments:
		return SourceHost
	case ReasonAnswer:
		return SourcePlugin
	}
	return SourceNetwork
}

// Every Fault's text is "reattach: ", one of the forms below, its fate, and
// perhaps ": " and the cause. Cause reads it back, so it stays as it is.
const (
	faultStart   = "reattach: "
	fateNotSent  = "; it was not sent"
	fateMayRun   = "; it may have run"
	lostStart    = "connection to "
	lostMiddle   = " lost during "
	timeoutStart = "no answer in time from "
	answerStart  = "unreadable answer from "
	toMethod     = " to "
	unavailStart = "no endpoint took "
	argsStart    = "arguments cannot be encoded for "
)

// Error implements error.
func (f *Fault) Error() string {
	var b strings.Builder
	b.WriteString(faultStart)
	switch f.Reason {
	case ReasonLost:
		b.WriteString(lostStart + f.Endpoint + lostMiddle)
	case ReasonTimeout:
		b.WriteString(timeoutStart + f.Endpoint + toMethod)
	case ReasonAnswer:
		b.WriteString(answerStart + f.Endpoint + toMethod)
	case ReasonArguments:
		b.WriteString(argsStart)
	default:
		b.WriteString(unavailStart)
	}
	b.WriteString(f.Method)
	if f.MayHaveRun {
		b.WriteString(fateMayRun)
	} else {
		b.WriteString(fateNotSent)
	}
	if f.Err != nil {
		b.WriteString(": " + f.Err.Error())
	}
	return b.String()
}

// Unwrap returns what lies behind.
func (f *Fault) Unwrap() error { return f.Err }

// GRPCStatus gives the Fault the code that gRPC callers expect:
// DeadlineExceeded, Unavailable, InvalidArgument or Internal.
func (f *Fault) GRPCStatus() *status.Status {
	code := codes.Unavailable
	switch f.Reason {
	case ReasonTimeout:
		code = codes.DeadlineExceeded
	case ReasonArguments:
		code = codes.InvalidArgument
	case ReasonAnswer:
		code = codes.Internal
	}
	return status.New(code, f.Error())
}

// Cause finds the Fault in the error of a routed call, however it was wrapped.
// It reports false for an error that the plugin returned. A plugin that hands
// on the net/rpc error of a host of its own cannot be told from this host.
func Cause(err error) (*Fault, bool) {
	var f *Fault
	if errors.As(err, &f) {
		return f, true
	}
	var text rpc.ServerError
	if errors.As(err, &text) {
		return parseFault(string(text))
	}
	return nil, false
}

// SourceOf says on whose side a call failed. An error that is no Fault came
// from the plugin, unless it is the caller's own doing: a closed stub, or a
// context that the caller ended.
func SourceOf(err error) Source {
	if f, ok := Cause(err); ok {
		return f.Source()
	}
	if errors.Is(err, rpc.ErrShutdown) || errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled {
		return SourceHost
	}
	return SourcePlugin
}

func parseFault(text string) (*Fault, bool) {
	text, ok := strings.CutPrefix(text, faultStart)
	if !ok {
		return nil, false
	}
	f := &Fault{}
	what, cause, ok := f.cutFate(text)
	if !ok {
		return nil, false
	}
	if cause, ok := strings.CutPrefix(cause, ": "); ok {
		f.Err = errors.New(cause)
	}
	if !f.parseWhat(what) {
		return nil, false
	}
	return f, true
}

// cutFate cuts at the first fate: the cause may be a Fault of its own.
func (f *Fault) cutFate(text string) (what, cause string, ok bool) {
	what, cause, f.MayHaveRun = strings.Cut(text, fateMayRun)
	before, after, not := strings.Cut(what, fateNotSent)
	if !not {
		return what, cause, f.MayHaveRun
	}
	if f.MayHaveRun {
		f.MayHaveRun = false
		after = text[len(before)+len(fateNotSent):]
	}
	return before, after, true
}

func (f *Fault) parseWhat(what string) bool {
	for _, form := range [...]struct {
		reason        Reason
		start, middle string
	}{
		{ReasonLost, lostStart, lostMiddle},
		{ReasonTimeout, timeoutStart, toMethod},
		{ReasonAnswer, answerStart, toMethod},
		{ReasonUnavailable, unavailStart, ""},
		{ReasonArguments, argsStart, ""},
	} {
		rest, ok := strings.CutPrefix(what, form.start)
		if !ok {
			continue
		}
		f.Reason, f.Method = form.reason, rest
		if form.middle != "" {
			// A method's name has no blank; an endpoint's ID, made of a path,
			// may have some.
			at := strings.LastIndex(rest, form.middle)
			if at < 0 {
				return false
			}
			f.Endpoint, f.Method = rest[:at], rest[at+len(form.middle):]
		}
		return true
	}
	return false
}
