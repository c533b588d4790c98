// SPDX-License-Identifier: MPL-2.0

package tracing

import (
	"context"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/hashicorp/go-plugin"
)

// TestIsWanted holds which variables turn traces on.
func TestIsWanted(t *testing.T) {
	for name, test := range map[string]struct {
		env  map[string]string
		want bool
		err  string
	}{
		"nothing":           {},
		"an endpoint":       {env: map[string]string{endpointVar: "http://collector:4318"}, want: true},
		"one for traces":    {env: map[string]string{tracesEndpointVar: "http://collector:4318/v1/traces"}, want: true},
		"otlp":              {env: map[string]string{exporterVar: "otlp"}, want: true},
		"none wins":         {env: map[string]string{exporterVar: "none", endpointVar: "http://collector:4318"}},
		"disabled wins":     {env: map[string]string{disabledVar: "true", exporterVar: "otlp"}},
		"not disabled":      {env: map[string]string{disabledVar: "false", exporterVar: "otlp"}, want: true},
		"another exporter":  {env: map[string]string{exporterVar: "zipkin"}, err: `OTEL_TRACES_EXPORTER="zipkin": want otlp or none`},
		"disabled by a yes": {env: map[string]string{disabledVar: "yes"}, err: `OTEL_SDK_DISABLED="yes": want true or false`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, name := range []string{disabledVar, exporterVar, endpointVar, tracesEndpointVar} {
				t.Setenv(name, test.env[name])
			}
			got, err := IsWanted()
			if got != test.want || err == nil && test.err != "" || err != nil && err.Error() != test.err {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

// TestStart holds that nothing is made without the variables, and that a mistake is told.
func TestStart(t *testing.T) {
	for _, name := range []string{disabledVar, exporterVar, endpointVar, tracesEndpointVar, protocolVar, tracesProtocolVar} {
		t.Setenv(name, "")
	}
	provider, stop, err := Start(Options{})
	stop()
	if provider != nil || err != nil || Around(provider) != nil {
		t.Errorf("without variables there is a provider %v, or an error %v", provider, err)
	}
	t.Setenv(exporterVar, "otlp")
	t.Setenv(tracesProtocolVar, "http/json")
	_, stop, err = Start(Options{})
	stop()
	if err == nil || err.Error() != `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL="http/json": want grpc or http/protobuf` {
		t.Errorf("the error is %v", err)
	}
}

// TestServiceName holds who names a program.
func TestServiceName(t *testing.T) {
	for _, test := range []struct {
		fixed                  bool
		service, theirs, value string
		want                   string
	}{
		{service: "mine", want: "mine"},
		{service: "mine", theirs: "theirs", want: "theirs"},
		{service: "mine", value: "service.name=other", want: "other"},
		{fixed: true, service: "mine", theirs: "theirs", want: "mine"},
		{fixed: true, service: "mine", value: "service.name=other", want: "mine"},
	} {
		t.Setenv("OTEL_SERVICE_NAME", test.theirs)
		t.Setenv("OTEL_RESOURCE_ATTRIBUTES", test.value)
		about, err := Options{Service: test.service, Fixed: test.fixed}.describe()
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := about.Set().Value("service.name"); got.AsString() != test.want {
			t.Errorf("%+v: it is called %q", test, got.AsString())
		}
	}
}

// TestAround holds that a call is beneath its host's span, that what the method calls is told
// of its own, and that what the other side says is cut and printable.
func TestAround(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	around := Around(trace.NewTracerProvider(trace.WithSpanProcessor(spans)))
	ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))
	ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", "another")
	var told []string
	around(ctx, plugin.ServedCall{Protocol: "netrpc", Kind: "greeter", Method: "Plugin." + strings.Repeat("é\xff", 2000)},
		func(ctx context.Context) error {
			md, _ := metadata.FromOutgoingContext(ctx)
			told = md.Get("traceparent")
			return nil
		})
	all := spans.Ended()
	if len(all) != 1 {
		t.Fatalf("%d spans", len(all))
	}
	s := all[0]
	if got := s.Parent().SpanID().String() + s.SpanContext().TraceID().String(); got != "00f067aa0ba902b7"+"4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("the span is beneath %s", got)
	}
	if want := "00-4bf92f3577b34da6a3ce929d0e0e4736-" + s.SpanContext().SpanID().String() + "-01"; len(told) != 1 || told[0] != want {
		t.Errorf("what the method calls is told %q, want %q", told, want)
	}
	if len(s.Name()) > 2*maxText || strings.Contains(s.Name(), "\xff") || !strings.HasPrefix(s.Name(), "greeter/é") {
		t.Errorf("the span has a name of %d bytes: %.40q", len(s.Name()), s.Name())
	}
}

// TestStrangersNameNoSpans holds that a method which nobody serves gives no span its name.
func TestStrangersNameNoSpans(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	around := Around(trace.NewTracerProvider(trace.WithSpanProcessor(spans)))
	around(t.Context(), plugin.ServedCall{Protocol: "grpc", Method: "/stranger.1/X"}, func(context.Context) error {
		return status.Error(codes.Unimplemented, "unknown service stranger.1")
	})
	got := make(map[string]string)
	for _, s := range spans.Ended() {
		got["name"] = s.Name()
		for _, a := range s.Attributes() {
			got[string(a.Key)] = a.Value.AsString()
		}
	}
	if got["name"] != "_OTHER" || got["rpc.method"] != "_OTHER" || got["rpc.method_original"] != "stranger.1/X" {
		t.Errorf("the span has %v", got)
	}
}

// TestPanicEndsSpan holds that a method that panics has a span, and panics on.
func TestPanicEndsSpan(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	around := Around(trace.NewTracerProvider(trace.WithSpanProcessor(spans)))
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic does not go on")
			}
		}()
		around(t.Context(), plugin.ServedCall{Method: "/a.B/C"}, func(context.Context) error { panic("boom") })
	}()
	if all := spans.Ended(); len(all) != 1 || all[0].Name() != "a.B/C" || all[0].Status().Description != "the method did not return" {
		t.Errorf("the spans are %v", all)
	}
}
