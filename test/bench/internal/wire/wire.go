// SPDX-License-Identifier: MPL-2.0

// Package wire is what the benchmark says to the programs that it drives, and what
// they say back: one JSON object a line, on the program's stdin and stdout, one
// request at a time.
package wire

import "time"

// Operations of a driver.
const (
	// Open starts a subject's servers and makes its session.
	Open = "open"
	// Calls loads a subject's session for a while.
	Calls = "calls"
	// Attach makes sessions one after the other, and closes each.
	Attach = "attach"
	// Memory holds many sessions at once, and says what each costs.
	Memory = "memory"
	// Fleet attaches to many endpoints at once through the host library.
	Fleet = "fleet"
	// Kill ends the endpoint in use, again and again.
	Kill = "kill"
	// Small makes small calls beside large ones.
	Small = "small"
	// Stream sends messages in streams.
	Stream = "stream"
	// Idle holds many endpoints of as many plugins, and calls none.
	Idle = "idle"
	// Cancel gives calls up.
	Cancel = "cancel"
	// Close ends a subject's session and servers.
	Close = "close"
)

// Request asks a driver for one operation on one subject.
type Request struct {
	Op      string `json:"op"`
	Subject string `json:"subject"`
	// Load is for Calls and, of one caller, for Stream.
	Load Load `json:"load,omitzero"`
	// Beside is for Small.
	Beside Beside `json:"beside,omitzero"`
	// For is how long Idle looks, and Cancel after the last call.
	For time.Duration `json:"for,omitempty"`
	// Count is how many sessions, endpoints, kills, or calls to give up.
	Count int `json:"count,omitempty"`
	// Trips is how many calls belong to one Attach.
	Trips int `json:"trips,omitempty"`
}

// Load says how to call.
type Load struct {
	// Callers call at the same time, each one call after the other.
	Callers int `json:"callers"`
	// Payload is the length of the argument.
	Payload int `json:"payload"`
	// For is how long to measure, after Warm.
	For  time.Duration `json:"for"`
	Warm time.Duration `json:"warm"`
}

// Reply answers a request. Error is empty if it was done.
type Reply struct {
	Error  string          `json:"error,omitempty"`
	Calls  Rate            `json:"calls,omitzero"`
	Times  []time.Duration `json:"times,omitempty"`
	Others []time.Duration `json:"others,omitempty"`
	Memory Cost            `json:"memory,omitzero"`
	Fleet  Effort          `json:"fleet,omitzero"`
	Small  Waits           `json:"small,omitzero"`
	Stream Streams         `json:"stream,omitzero"`
	Idle   Rest            `json:"idle,omitzero"`
	Cancel Cancelled       `json:"cancel,omitzero"`
}

// Rate is what a load of calls brought.
type Rate struct {
	// Calls is how many were answered, those of the warm-up included.
	Calls int `json:"calls"`
	// PerCall is the time by how many calls were answered, of all callers
	// together, in nanoseconds.
	PerCall float64 `json:"perCall"`
	// What single calls took.
	P50 time.Duration `json:"p50"`
	P99 time.Duration `json:"p99"`
	Max time.Duration `json:"max"`
	// HostCPU and PluginCPU are the processor time, user and system, that the
	// two sides took for all Calls.
	HostCPU   time.Duration `json:"hostCPU"`
	PluginCPU time.Duration `json:"pluginCPU"`
}

// Cost is what one session or endpoint holds on each side.
type Cost struct {
	Host   Holding `json:"host"`
	Plugin Holding `json:"plugin"`
}

// Holding is memory after a collection of garbage, and goroutines.
type Holding struct {
	Heap       float64 `json:"heap"`
	Stack      float64 `json:"stack"`
	Goroutines float64 `json:"goroutines"`
}

// Bytes is heap and stacks.
func (h Holding) Bytes() float64 { return h.Heap + h.Stack }

// Effort is what it took to attach to many endpoints at once.
type Effort struct {
	Wall      time.Duration `json:"wall"`
	HostCPU   time.Duration `json:"hostCPU"`
	PluginCPU time.Duration `json:"pluginCPU"`
}
