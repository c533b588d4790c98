// SPDX-License-Identifier: MPL-2.0

package tracing

import (
	"context"
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
// they named before. Its baggage, if it has any, takes the place of theirs.
func ToMetadata(ctx context.Context) context.Context {
	md, _ := metadata.FromOutgoingContext(ctx) // a copy
	if md == nil {
		md = make(metadata.MD)
	}
	if trace.SpanContextFromContext(ctx).IsValid() {
		md.Delete("traceparent")
		md.Delete("tracestate")
	}
	propagator.Inject(ctx, carrier(md))
	return metadata.NewOutgoingContext(ctx, md)
}

// maxText bounds a name or an error of the other side in a span, in bytes.
const maxText = 1 << 10

// Text makes a text that the other side may have given fit for a span.
func Text(s string) string { return printable.Text(printable.Clip(s, maxText)) }
