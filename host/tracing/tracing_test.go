// SPDX-License-Identifier: MPL-2.0

package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/reattach/reattach/host/stub"
	hosttracing "github.com/reattach/reattach/host/tracing"
)

// TestErrors holds what a span says of a call that failed: whose error it is, of what sort,
// and whether the plugin may have run it.
func TestErrors(t *testing.T) {
	for name, test := range map[string]struct {
		protocol string
		err      error
		want     []string
	}{
		"answered":              {protocol: "grpc", want: []string{"", "", ""}},
		"the plugin's, net/rpc": {protocol: "netrpc", err: errors.New("sold out"), want: []string{"plugin", "plugin", ""}},
		"the plugin's, gRPC":    {protocol: "grpc", err: status.Error(codes.NotFound, "sold out"), want: []string{"plugin", "NOT_FOUND", ""}},
		"lost":                  {protocol: "grpc", err: &stub.Fault{Reason: stub.ReasonLost, MayHaveRun: true}, want: []string{"network", "lost", "true"}},
		"no endpoint":           {protocol: "netrpc", err: &stub.Fault{Reason: stub.ReasonUnavailable}, want: []string{"network", "unavailable", "false"}},
		"the caller's":          {protocol: "netrpc", err: &stub.Fault{Reason: stub.ReasonCaller, Err: context.Canceled}, want: []string{"caller", "caller", "false"}},
	} {
		t.Run(name, func(t *testing.T) {
			spans := tracetest.NewSpanRecorder()
			tracer := hosttracing.New(trace.NewTracerProvider(trace.WithSpanProcessor(spans)))
			call := tracer.Begin(t.Context(), stub.TracedCall{Plugin: "p", Kind: "k", Protocol: test.protocol, Service: "S", Method: "M"})
			ctx := call.Attempt(metadata.AppendToOutgoingContext(t.Context(), "k", "v", "traceparent", "of another"), "p@unix:///run/p.sock")
			md, _ := metadata.FromOutgoingContext(ctx)
			id := call.Ended(stub.Call{Method: "M", Endpoint: "p@unix:///run/p.sock", Attempts: 1, Err: test.err})
			all := spans.Ended()
			if len(all) != 2 {
				t.Fatalf("%d spans", len(all))
			}
			attempt, whole := all[0], all[1]
			got := []string{text(whole, "reattach.error_source"), text(whole, "error.type"), text(whole, "reattach.may_have_run")}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			parent := fmt.Sprintf("00-%s-%s-01", id, attempt.SpanContext().SpanID())
			if diff := cmp.Diff(metadata.MD{"k": {"v"}, "traceparent": {parent}}, md); diff != "" {
				t.Errorf("what the plugin gets: (-want +got)\n%s", diff)
			}
			if text(attempt, "server.address") != "/run/p.sock" || attempt.Parent().SpanID() != whole.SpanContext().SpanID() {
				t.Errorf("the attempt is %v", attempt.Attributes())
			}
		})
	}
}

func text(s trace.ReadOnlySpan, key attribute.Key) string {
	for _, a := range s.Attributes() {
		if a.Key == key {
			return a.Value.String()
		}
	}
	return ""
}
