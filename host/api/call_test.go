// SPDX-License-Identifier: MPL-2.0

package api

import (
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"
)

// TestTraced holds what a plugin is told of the trace that a call belongs to.
func TestTraced(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/", nil)
	r.Header["Traceparent"] = []string{"00-ab-cd-01"}
	r.Header["Tracestate"] = []string{"a=1", "b=2"}
	r.Header["Baggage"] = []string{strings.Repeat("x", maxTrace+1)}
	r.Header["Authorization"] = []string{"Bearer secret"}
	md, _ := metadata.FromOutgoingContext(traced(r))
	want := metadata.MD{"traceparent": {"00-ab-cd-01"}, "tracestate": {"a=1,b=2"}}
	if !reflect.DeepEqual(md, want) {
		t.Errorf("the metadata are %v, want %v", md, want)
	}
	r.Header["Traceparent"] = []string{"\xff"}
	r.Header["Tracestate"] = nil
	r.Header["Baggage"] = nil
	if md, ok := metadata.FromOutgoingContext(traced(r)); ok {
		t.Errorf("the metadata are %v, want none", md)
	}
}
