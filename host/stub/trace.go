// SPDX-License-Identifier: MPL-2.0

package stub

import (
	"context"
	"strings"
)

// Tracer follows calls on their way, to tell others of them. Stubs call it from any
// goroutine, and it must not block.
type Tracer interface {
	// Begin is called before a call or a stream is given to any endpoint. ctx is the
	// caller's, or an empty one over net/rpc of a caller that gave none. Nil does not
	// follow the call.
	Begin(ctx context.Context, call TracedCall) Trace
}

// TracedCall says what a call is of.
type TracedCall struct {
	// Plugin is the plugin's name, and Kind that of the interface: those of [Tracing].
	Plugin, Kind string
	// Protocol is "netrpc" or "grpc".
	Protocol string
	// Service and Method are as the protocol has them: "Plugin" and "Greet", or
	// "hello.Greeter" and "Greet".
	Service, Method string
}

// Trace follows one call. Its methods are called one after the other.
type Trace interface {
	// Attempt begins an attempt on an endpoint, and gives the context to make it with: its
	// outgoing metadata are what the plugin gets. ctx is that which Begin was given, or is
	// made of it.
	Attempt(ctx context.Context, endpoint string) context.Context
	// Failed ends an attempt after which the call goes on. sent says that the plugin may
	// have run it.
	Failed(sent bool, cause error)
	// Ended ends the call, and the attempt that is under way. It gives the ID of the trace,
	// for the Observer, or nothing if nobody will find it there.
	Ended(call Call) (traceID string)
}

// Tracing is a Tracer with the names of what a stub calls.
type Tracing struct {
	// Tracer is nil where calls are not followed.
	Tracer       Tracer
	Plugin, Kind string
}

// callTrace is the Trace of a call. A nil one does nothing, and costs nothing.
type callTrace struct {
	trace Trace
	base  context.Context // of the call, where that has one
	ctx   context.Context // of the attempt under way; nil: none is
}

// begin follows a call, if anybody wants that. ctx may be nil.
func (t *Tracing) begin(ctx context.Context, protocol, name string) *callTrace {
	if t.Tracer == nil {
		return nil
	}
	if ctx == nil {
		ctx = context.Background()
	}
	i := strings.LastIndexAny(name, "./")
	trace := t.Tracer.Begin(ctx, TracedCall{
		Plugin: t.Plugin, Kind: t.Kind, Protocol: protocol,
		Service: strings.TrimPrefix(name[:max(0, i)], "/"), Method: name[i+1:],
	})
	if trace == nil {
		return nil
	}
	return &callTrace{trace: trace, base: ctx}
}

// attempt gives the context of the attempt on an endpoint, which begins with this unless it
// has begun.
func (t *callTrace) attempt(ctx context.Context, endpoint string) context.Context {
	if t == nil {
		return ctx
	}
	if t.ctx == nil {
		t.ctx = t.trace.Attempt(ctx, endpoint)
	}
	return t.ctx
}

// failed ends the attempt under way, if one is.
func (t *callTrace) failed(sent bool, cause error) {
	if t != nil && t.ctx != nil {
		t.ctx = nil
		t.trace.Failed(sent, cause)
	}
}

// ended ends the call.
func (t *callTrace) ended(call Call) (traceID string) {
	if t == nil {
		return ""
	}
	return t.trace.Ended(call)
}
