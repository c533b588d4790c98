// SPDX-License-Identifier: MPL-2.0

// Package tracing shows the calls that a plugin serves as spans of OpenTelemetry, and sends
// spans as the OTEL_ variables of the environment say. It is off without them. A plugin
// needs three lines:
//
//	provider, stop, err := tracing.Start(tracing.Options{})
//	defer stop()
//	plugin.Serve(&plugin.ServeConfig{Around: tracing.Around(provider), …})
//
// A host has package host/tracing for its own calls, and [Start] as well. Nobody else links
// OpenTelemetry.
package tracing

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// stopTimeout bounds how long spans may take to leave when the program ends. A host kills a
// child that takes two seconds to end.
const stopTimeout = time.Second

// Options are what the environment does not say.
type Options struct {
	// Service names the program in its traces, if OTEL_SERVICE_NAME does not. Empty is
	// the name of a plugin, as PLUGIN_NAME or its executable has it.
	Service string
	// Fixed says that Service is the name in any case: the environment is that of another
	// program, which OTEL_SERVICE_NAME speaks of.
	Fixed bool
	// Logger is told of spans that could not be sent: it takes the errors of all of
	// OpenTelemetry in the process. Nil leaves them to package log.
	Logger hclog.Logger
}

// The variables that say whether there are traces. All others are the SDK's to read, as
// docs/reference.md lists them.
const (
	disabledVar       = "OTEL_SDK_DISABLED"
	exporterVar       = "OTEL_TRACES_EXPORTER"
	endpointVar       = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesEndpointVar = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	protocolVar       = "OTEL_EXPORTER_OTLP_PROTOCOL"
	tracesProtocolVar = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"
)

// IsWanted reports whether the environment asks for traces: OTEL_TRACES_EXPORTER is otlp, or
// it is not set and an endpoint is, by OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT. OTEL_SDK_DISABLED=true wins. An error names the
// variable that has an unknown value.
func IsWanted() (bool, error) {
	if text := os.Getenv(disabledVar); text != "" {
		off, err := strconv.ParseBool(text)
		if err != nil {
			return false, fmt.Errorf("%s=%q: want true or false", disabledVar, text)
		}
		if off {
			return false, nil
		}
	}
	switch exporter := strings.TrimSpace(os.Getenv(exporterVar)); exporter {
	case "otlp":
		return true, nil
	case "none":
		return false, nil
	case "":
		return os.Getenv(endpointVar) != "" || os.Getenv(tracesEndpointVar) != "", nil
	default:
		return false, fmt.Errorf("%s=%q: want otlp or none", exporterVar, exporter)
	}
}

// Start begins to send spans by OTLP if the environment asks for it, as [IsWanted] says, and
// gives what makes them: nil if it does not ask. The caller calls stop at the end of the
// program, also after an error: it sends what has not left, within a second. An error names
// the variable that is wrong. A receiver that cannot be reached is no error: spans are kept
// for a while, then dropped, and calls do not wait.
func Start(o Options) (provider trace.TracerProvider, stop func(), err error) {
	stop = func() {}
	wanted, err := IsWanted()
	if !wanted || err != nil {
		return nil, stop, err
	}
	exporter, err := newExporter(context.Background())
	if err != nil {
		return nil, stop, err
	}
	about, err := o.describe()
	if err != nil {
		return nil, stop, err
	}
	if o.Logger != nil {
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { o.Logger.Warn("traces are not complete", "error", err) }))
	}
	made := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about))
	return made, func() {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if err := made.Shutdown(ctx); err != nil {
			otel.Handle(err)
		}
	}, nil
}

// describe says of the program what its spans have in common. What is said later wins.
func (o Options) describe() (*resource.Resource, error) {
	name := cmp.Or(o.Service, os.Getenv("PLUGIN_NAME"), strings.TrimSuffix(filepath.Base(os.Args[0]), filepath.Ext(os.Args[0])))
	named := resource.WithAttributes(semconv.ServiceName(name))
	all := []resource.Option{named, resource.WithHost(), resource.WithProcessPID(), resource.WithTelemetrySDK(), resource.WithFromEnv()}
	if o.Fixed {
		all = append(all, named)
	}
	about, err := resource.New(context.Background(), all...)
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	return about, nil
}

// newExporter makes what sends spans. It does not connect.
func newExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	name := protocolVar
	if os.Getenv(tracesProtocolVar) != "" {
		name = tracesProtocolVar
	}
	switch protocol := cmp.Or(strings.TrimSpace(os.Getenv(name)), "http/protobuf"); protocol {
	case "grpc":
		return otlptracegrpc.New(ctx)
	case "http/protobuf":
		return otlptracehttp.New(ctx)
	default:
		return nil, fmt.Errorf("%s=%q: want grpc or http/protobuf", name, protocol)
	}
}
