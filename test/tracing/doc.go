// SPDX-License-Identifier: MPL-2.0

// Package tracing follows calls through real processes with the OpenTelemetry Collector's own
// OTLP receiver. It is a module of its own, as nothing else needs a collector.
package tracing
