// SPDX-License-Identifier: MPL-2.0

package tracing

import (
	"context"
	"encoding/binary"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"github.com/hashicorp/go-plugin/printable"
)

// Name is the name of the instrumentation library, in spans.
const Name = "github.com/reattach/reattach"

// propagator reads and writes traceparent, tracestate and baggage.
var propagator = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// carrier is metadata as a propagator sees them.
type carrier metadata.MD

// Get implements propagation.TextMapCarrier.
func (c carrier) Get(key string) string { return strings.Join(metadata.MD(c).Get(key), ",") }

// Set implements propagation.TextMapCarrier.
func (c carrier) Set(key, value string) { metadata.MD(c).Set(key, value) }

// Keys implements propagation.TextMapCarrier.
func (c carrier) Keys() []string {
	keys := make([]string, 0, len(c))
	for key := range c {
		keys = append(keys, key)
	}
	return keys
}

// FromMetadata gives ctx with the span that metadata name as its parent, and with their
// baggage.
func FromMetadata(ctx context.Context, md metadata.MD) context.Context {
	if len(md.Get("traceparent")) == 0 && len(md.Get("baggage")) == 0 {
		return ctx
	}
	return propagator.Extract(ctx, carrier(md))
}

// ToMetadata gives ctx with outgoing metadata that name its span, in the place of one that
// they named before. Its baggage, if it has any, takes the place of theirs. Metadata that a
// call can have stay such: where they have no room for all of that the span is named alone,
// and where they have none for that either they are as they were.
func ToMetadata(ctx context.Context) context.Context {
	given, _ := metadata.FromOutgoingContext(ctx) // a copy
	for _, names := range []propagation.TextMapPropagator{propagator, spanAlone{}} {
		md := given.Copy()
		if md == nil {
			md = make(metadata.MD)
		}
		if trace.SpanContextFromContext(ctx).IsValid() {
			md.Delete("traceparent")
			md.Delete("tracestate")
		}
		names.Inject(ctx, carrier(md))
		if fits(md) || !fits(given) {
			return metadata.NewOutgoingContext(ctx, md)
		}
	}
	return ctx
}

// spanAlone writes traceparent, and nothing of the vendors' and the callers'.
type spanAlone struct{ propagation.TraceContext }

// Inject implements propagation.TextMapPropagator.
func (s spanAlone) Inject(ctx context.Context, to propagation.TextMapCarrier) {
	about := trace.SpanContextFromContext(ctx).WithTraceState(trace.TraceState{})
	s.TraceContext.Inject(trace.ContextWithSpanContext(ctx, about), to)
}

// What a call over net/rpc carries at most, as PROTOCOL.md has it. Over gRPC a call with
// more leaves the transport that is made for it.
const (
	maxPairs = 64
	maxBytes = 16 << 10
)

// fits reports whether metadata are within those bounds.
func fits(md metadata.MD) bool {
	pairs, size := 0, 0
	for key, values := range md {
		for _, value := range values {
			pairs++
			size += textSize(key) + textSize(value)
		}
	}
	return pairs <= maxPairs && size <= maxBytes
}

// textSize is how many bytes a text and its length take.
func textSize(s string) int { return len(binary.AppendUvarint(nil, uint64(len(s)))) + len(s) }

// maxText bounds a name or an error of the other side in a span, in bytes.
const maxText = 1 << 10

// Text makes a text that the other side may have given fit for a span.
func Text(s string) string { return printable.Text(printable.Clip(s, maxText)) }
