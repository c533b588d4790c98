// SPDX-License-Identifier: MPL-2.0

// Package observe has what dashboards, collectors and tracers ask of their plugins.
package observe

import (
	"context"
	"errors"
	"iter"
	"math"
	"time"
)

// TraceID names a trace.
type TraceID struct{ High, Low uint64 }

// Span is a part of a trace.
type Span struct {
	Trace      TraceID
	ID         uint64
	Operation  string
	References []Reference
	Start      time.Time
	Duration   time.Duration
	Tags       []KeyValue
	Process    *Process
	Warnings   []string
}

// Reference leads to another span.
type Reference struct {
	Trace TraceID
	Span  uint64
	Type  int8
}

// KeyValue is a tag. One of the values is set.
type KeyValue struct {
	Key     string
	Str     *string
	Bool    *bool
	Int     *int64
	Float   *float64
	Binary  []byte
	Samples []float32
}

// Process is where spans come from.
type Process struct {
	Service string
	Tags    []KeyValue
}

// Query finds traces.
type Query struct {
	Service     string
	Tags        map[string]string
	From, Until time.Time
	AtLeast     time.Duration
	Limit       int
}

// ErrTraceNotFound says that there is no such trace.
var ErrTraceNotFound = errors.New("trace not found")

// SpanReader finds spans.
type SpanReader interface {
	Trace(ctx context.Context, id TraceID) (iter.Seq2[Span, error], error)
	//reattach:idempotent timeout=10s repeats=1
	Services(ctx context.Context) ([]string, error)
	Find(ctx context.Context, query Query) (iter.Seq2[[]Span, error], error)
}

// SpanWriter keeps spans.
type SpanWriter interface {
	Write(ctx context.Context, span *Span) error
	WriteAll(ctx context.Context, spans <-chan Span) (written int, err error)
}

// Dependencies are who calls whom.
type Dependencies interface {
	Links(ctx context.Context, end time.Time, lookback time.Duration) ([]Link, error)
}

// Link is one caller and one callee.
type Link struct {
	Parent, Child string
	Calls         uint64
}

// Accumulator takes what an input gathers.
type Accumulator interface {
	Add(ctx context.Context, measurement string, fields map[string]float64, tags map[string]string, at time.Time) error
}

// Input gathers metrics.
type Input interface {
	Gather(ctx context.Context, into Accumulator) error
}

// Frame is a table of columns.
type Frame struct {
	Name   string
	Fields []Column
	Meta   map[string]map[string]string
}

// Column has values of one kind.
type Column struct {
	Name   string
	Labels map[string]string
	Times  []time.Time
	Floats []float64
	Texts  []string
	Nulls  []bool
}

// Page is a part of a list.
type Page[T any] struct {
	Items []T
	Next  string
}

// DataSource answers the queries of a dashboard.
type DataSource interface {
	QueryData(ctx context.Context, queries map[string][]byte) (map[string][]Frame, error)
	CheckHealth(ctx context.Context) (status int32, message string, details []byte, err error)
	CallResource(ctx context.Context, method, path string, headers map[string][]string, body []byte) (iter.Seq2[Part, error], error)
}

// Part is a part of an answer; the first one has the status and the headers.
type Part struct {
	Status  int
	Headers map[string][]string
	Body    []byte
}

// Stream sends frames as they come.
type Stream interface {
	Subscribe(ctx context.Context, path string) (allowed bool, initial *Frame, err error)
	RunStream(ctx context.Context, path string) iter.Seq2[Frame, error]
	List(ctx context.Context, after string, limit uint16) (Page[Link], error)
}

// Exporter sends on what was measured.
type Exporter interface {
	Export(ctx context.Context, resource map[string]string, points []Point) (rejected int64, err error)
}

// Point is one measurement.
type Point struct {
	At     time.Time
	Value  float64
	Bounds []float64
	Counts []uint64
}

// Nothing is what there is when nothing was measured.
const Nothing = math.MaxInt64
