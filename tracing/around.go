// SPDX-License-Identifier: MPL-2.0

package tracing

import (
	"context"
	"strings"

	"github.com/hashicorp/go-plugin"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Around gives what shows each call that a plugin serves as a span, of kind SERVER, beneath
// that of the host: a plugin.ServeConfig takes it. A method with a context finds the span in
// it; and what it calls with that context over gRPC, or back at its host over either, is told
// of the span by the outgoing metadata. Nil, as [Start] gives it without traces, is nil again.
func Around(provider trace.TracerProvider) plugin.Around {
	if provider == nil {
		return nil
	}
	tracer := provider.Tracer(Name, trace.WithSchemaURL(semconv.SchemaURL))
	return func(ctx context.Context, call plugin.ServedCall, run func(context.Context) error) {
		md, _ := metadata.FromIncomingContext(ctx)
		if call.Protocol == "netrpc" && call.Kind == "" && len(md) == 0 {
			_ = run(ctx) // A callback that carries nothing would be a trace of its own.
			return
		}
		name := MethodName(call.Kind, call.Method)
		ctx, span := tracer.Start(FromMetadata(ctx, md), name, trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(semconv.RPCSystemNameKey.String(call.Protocol), semconv.RPCMethod(name)))
		failed := true // until the method has returned
		defer func() {
			if failed {
				span.SetStatus(codes.Error, "the method did not return")
			}
			span.End()
		}()
		err := run(ToMetadata(ctx))
		if call.Protocol == "grpc" && status.Code(err) == grpccodes.Unimplemented {
			// A stranger may call anything, and names of spans are made series of.
			span.SetName(otherMethod)
			span.SetAttributes(semconv.RPCMethod(otherMethod), semconv.RPCMethodOriginal(name))
		}
		if err != nil {
			setError(span, call.Protocol, err)
		}
		failed = false
	}
}

// otherMethod takes the place of a method's name that the server does not know, as the
// conventions for RPC have it.
const otherMethod = "_OTHER"

// MethodName gives a method's name in spans, "greeter/Greet" or "hello.Greeter/Greet", of
// what a protocol has: "Plugin.Greet" and the kind, or "/hello.Greeter/Greet".
func MethodName(kind, method string) string {
	if rest, ok := strings.CutPrefix(method, "/"); ok {
		return Text(rest)
	}
	if rest, ok := strings.CutPrefix(method, "Plugin."); ok && kind != "" {
		return Text(kind + "/" + rest)
	}
	return Text(strings.Replace(method, ".", "/", 1))
}

// setError says in a span what a method has returned.
func setError(span trace.Span, protocol string, err error) {
	if protocol == "grpc" {
		code := CodeName(err)
		span.SetAttributes(semconv.RPCResponseStatusCode(code))
		if !isServersFault(err) {
			return
		}
		span.SetAttributes(semconv.ErrorTypeKey.String(code))
	} else {
		span.SetAttributes(semconv.ErrorTypeKey.String("plugin"))
	}
	span.SetStatus(codes.Error, Text(err.Error()))
}
