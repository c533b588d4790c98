// SPDX-License-Identifier: MPL-2.0

// Package tracing shows the calls of a host as spans of OpenTelemetry: one for each call,
// and beneath it one for each attempt on an endpoint. The plugin's own span, if it has one,
// is beneath that of its attempt.
package tracing

import (
	"context"
	"net"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"github.com/reattach/reattach/host/stub"
	"github.com/reattach/reattach/tracing"
)

// The attributes of spans that are Reattach's own.
const (
	// Plugin and Kind are names.
	Plugin = attribute.Key("reattach.plugin")
	Kind   = attribute.Key("reattach.kind")
	// Protocol is "netrpc" or "grpc".
	Protocol = attribute.Key("reattach.protocol")
	// Endpoint is the ID of an endpoint, of an attempt and of a call that one had last.
	Endpoint = attribute.Key("reattach.endpoint")
	// Attempt is the number of an attempt, from 1 on.
	Attempt = attribute.Key("reattach.attempt")
	// Attempts is how often an endpoint was given the call, and Repeats how often after an
	// attempt that may have run.
	Attempts = attribute.Key("reattach.attempts")
	Repeats  = attribute.Key("reattach.repeats")
	// ErrorSource is whose error it is: "plugin", "network", "host" or "caller".
	ErrorSource = attribute.Key("reattach.error_source")
	// MayHaveRun says of an error that is not the plugin's whether the plugin may have run
	// the call.
	MayHaveRun = attribute.Key("reattach.may_have_run")
)

// New gives what shows the calls of a daemon as spans: a daemon.Options takes it. A call is
// beneath the span of its caller's context, or the one that the outgoing metadata of that
// context name, as they do for a request of the API with the header traceparent. A plugin is
// told of its attempt's span by the metadata of the call. Nil is nil again.
func New(provider trace.TracerProvider) stub.Tracer {
	if provider == nil {
		return nil
	}
	return &tracer{provider.Tracer(tracing.Name, trace.WithSchemaURL(semconv.SchemaURL)), tracing.Around(provider)}
}

// FromEnv gives one that sends spans as the OTEL_ variables say, for a program with the
// command line of package cli; it is nil without them. The caller calls stop at the end.
func FromEnv(service string, fixed bool, logger hclog.Logger) (t stub.Tracer, stop func(), err error) {
	provider, stop, err := tracing.Start(tracing.Options{Service: service, Fixed: fixed, Logger: logger})
	return New(provider), stop, err
}

type tracer struct {
	tracer trace.Tracer
	around plugin.Around
}

// Callbacks implements daemon.CallbackTracer.
func (t *tracer) Callbacks() plugin.Around { return t.around }

// Begin implements stub.Tracer.
func (t *tracer) Begin(ctx context.Context, call stub.TracedCall) stub.Trace {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		md, _ := metadata.FromOutgoingContext(ctx)
		ctx = tracing.FromMetadata(ctx, md)
	}
	c := &tracedCall{tracer: t.tracer, call: call}
	name := call.Kind + "/" + call.Method
	if call.Kind == "" { // it is known to nobody on the way
		name = c.method()
	}
	_, c.span = t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithAttributes(c.names()...))
	return c
}

// tracedCall is the spans of one call.
type tracedCall struct {
	tracer   trace.Tracer
	call     stub.TracedCall
	span     trace.Span
	attempt  trace.Span // under way, or nil
	attempts int
}

// names are attributes of the call and its attempts.
func (c *tracedCall) names() []attribute.KeyValue {
	return []attribute.KeyValue{Plugin.String(c.call.Plugin), Kind.String(c.call.Kind), Protocol.String(c.call.Protocol)}
}

// method is the method as the protocol has it.
func (c *tracedCall) method() string {
	if c.call.Protocol == "grpc" {
		return c.call.Service + "/" + c.call.Method
	}
	return c.call.Kind + "/" + c.call.Method // the service is always the same
}

// Attempt implements stub.Trace.
func (c *tracedCall) Attempt(ctx context.Context, endpoint string) context.Context {
	c.attempts++
	attributes := append(c.names(), semconv.RPCSystemNameKey.String(c.call.Protocol), semconv.RPCMethod(c.method()),
		Endpoint.String(endpoint), Attempt.Int(c.attempts))
	attributes = append(attributes, serverOf(endpoint)...)
	ctx, c.attempt = c.tracer.Start(trace.ContextWithSpan(ctx, c.span), c.method(), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attributes...))
	return tracing.ToMetadata(ctx)
}

// serverOf says where an endpoint is, if that is an address.
func serverOf(endpoint string) []attribute.KeyValue {
	_, address, _ := strings.Cut(endpoint, "@")
	if path, ok := strings.CutPrefix(address, "unix://"); ok {
		return []attribute.KeyValue{semconv.ServerAddress(path), semconv.NetworkTransportUnix}
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil
	}
	if n, err := strconv.Atoi(port); err == nil {
		return []attribute.KeyValue{semconv.ServerAddress(host), semconv.ServerPort(n)}
	}
	return []attribute.KeyValue{semconv.ServerAddress(host)}
}

// Failed implements stub.Trace.
func (c *tracedCall) Failed(sent bool, cause error) {
	c.attempt.SetAttributes(MayHaveRun.Bool(sent))
	setError(c.attempt, c.call.Protocol, sourceOfAttempt(cause), cause)
	c.attempt.End()
	c.attempt = nil
}

// Ended implements stub.Trace.
func (c *tracedCall) Ended(call stub.Call) (traceID string) {
	c.span.SetAttributes(Attempts.Int(call.Attempts), Repeats.Int(call.Repeats))
	if call.Endpoint != "" {
		c.span.SetAttributes(Endpoint.String(call.Endpoint))
	}
	if call.Err != nil {
		source := string(stub.SourceOf(call.Err))
		if f, ok := stub.Cause(call.Err); ok {
			c.span.SetAttributes(MayHaveRun.Bool(f.MayHaveRun))
		}
		setError(c.span, c.call.Protocol, source, call.Err)
		if c.attempt != nil {
			setError(c.attempt, c.call.Protocol, source, call.Err)
		}
	}
	if c.attempt != nil {
		c.attempt.End()
	}
	c.span.End()
	if about := c.span.SpanContext(); about.IsSampled() {
		traceID = about.TraceID().String()
	}
	return traceID
}

// setError says in a span what has failed.
func setError(span trace.Span, protocol, source string, err error) {
	span.SetStatus(codes.Error, tracing.Text(err.Error()))
	span.SetAttributes(ErrorSource.String(source), semconv.ErrorTypeKey.String(typeOf(protocol, source, err)))
}
