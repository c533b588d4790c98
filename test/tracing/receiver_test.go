// SPDX-License-Identifier: MPL-2.0

package tracing

import (
	"context"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/reattach/reattach/test/kit"
)

// span is what a test looks at of one.
type span struct {
	ptrace.Span
	service string
}

// attribute gives one as a text.
func (s span) attribute(key string) string {
	v, ok := s.Attributes().Get(key)
	if !ok {
		return ""
	}
	return v.AsString()
}

// otlp is a receiver of the collector.
type otlp struct {
	grpc, http string // host:port

	mu    sync.Mutex
	spans []span
}

// receive runs one until the test ends.
func receive(t *testing.T) *otlp {
	t.Helper()
	list := kit.Addresses(t, 2)
	r := &otlp{grpc: list[0], http: list[1]}
	factory := otlpreceiver.NewFactory()
	config := factory.CreateDefaultConfig()
	err := confmap.NewFromStringMap(map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": r.grpc}, "http": map[string]any{"endpoint": r.http},
	}}).Unmarshal(config)
	if err != nil {
		t.Fatal(err)
	}
	sink, err := consumer.NewTraces(r.take)
	if err != nil {
		t.Fatal(err)
	}
	traces, err := factory.CreateTraces(t.Context(), receivertest.NewNopSettings(factory.Type()), config, sink)
	if err != nil {
		t.Fatal(err)
	}
	if err := traces.Start(t.Context(), componenttest.NewNopHost()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := traces.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *otlp) take(_ context.Context, traces ptrace.Traces) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, resource := range traces.ResourceSpans().All() {
		service, _ := resource.Resource().Attributes().Get("service.name")
		for _, scope := range resource.ScopeSpans().All() {
			for _, s := range scope.Spans().All() {
				kept := ptrace.NewSpan()
				s.CopyTo(kept)
				r.spans = append(r.spans, span{kept, service.AsString()})
			}
		}
	}
	return nil
}

// of gives the spans of a trace that have come.
func (r *otlp) of(trace string) (all []span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.spans {
		if s.TraceID().String() == trace {
			all = append(all, s)
		}
	}
	return all
}
