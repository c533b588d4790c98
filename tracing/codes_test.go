// SPDX-License-Identifier: MPL-2.0

package tracing

import (
	"context"
	"errors"
	"testing"

	"github.com/hashicorp/go-plugin"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestCodesOfServers holds which errors of a method are errors of its span, and how the
// codes of gRPC are written there.
func TestCodesOfServers(t *testing.T) {
	for name, test := range map[string]struct {
		protocol, code string
		err            error
		want           codes.Code
	}{
		"answered":     {"grpc", "", nil, codes.Unset},
		"not found":    {"grpc", "NOT_FOUND", status.Error(grpccodes.NotFound, "no such"), codes.Unset},
		"cancelled":    {"grpc", "CANCELLED", status.Error(grpccodes.Canceled, "gone"), codes.Unset},
		"its deadline": {"grpc", "DEADLINE_EXCEEDED", status.Error(grpccodes.DeadlineExceeded, "late"), codes.Error},
		"no status":    {"grpc", "UNKNOWN", errors.New("boom"), codes.Error},
		"of no name":   {"grpc", "99", status.Error(99, "odd"), codes.Unset},
		"net/rpc":      {"netrpc", "", errors.New("boom"), codes.Error},
	} {
		t.Run(name, func(t *testing.T) {
			spans := tracetest.NewSpanRecorder()
			around := Around(trace.NewTracerProvider(trace.WithSpanProcessor(spans)))
			around(t.Context(), plugin.ServedCall{Protocol: test.protocol, Kind: "k", Method: "/a.B/C"}, func(context.Context) error { return test.err })
			span := spans.Ended()[0]
			code := ""
			for _, a := range span.Attributes() {
				if a.Key == "rpc.response.status_code" {
					code = a.Value.AsString()
				}
			}
			if got := span.Status().Code; got != test.want || code != test.code {
				t.Errorf("status %v, code %q; want %v, %q", got, code, test.want, test.code)
			}
		})
	}
}
