// SPDX-License-Identifier: MPL-2.0

package wire

import "time"

// Beside says which small calls are made beside which large ones.
type Beside struct {
	// Bytes is how large the large ones are, Reply says that it is their answers, and
	// not their requests.
	Bytes int  `json:"bytes"`
	Reply bool `json:"reply,omitempty"`
	// Rate is how many bytes a second the link between both sides carries in each
	// direction; 0: the loopback interface itself.
	Rate int `json:"rate,omitempty"`
	// Every is the time from one small call to the next. None waits for another.
	Every time.Duration `json:"every"`
	// For is for how long at least there is a large call after the other.
	For time.Duration `json:"for"`
}

// Waits is how long calls took.
type Waits struct {
	// Small calls were made while there was a large one.
	Small int           `json:"small"`
	P50   time.Duration `json:"p50"`
	P99   time.Duration `json:"p99"`
	Max   time.Duration `json:"max"`
	// Large is the median of the large ones.
	Large time.Duration `json:"large"`
	// Failed counts the calls that were not answered, and the times that the endpoint
	// was held back. Failure is one of them.
	Failed  int    `json:"failed"`
	Failure string `json:"failure,omitempty"`
}

// Streams is how long one message takes in a stream, in nanoseconds.
type Streams struct {
	Feed float64 `json:"feed"` // to the host
	Pour float64 `json:"pour"` // to the plugin
}

// Rest is what endpoints cost that nobody calls.
type Rest struct {
	Cost
	// HostCPU and PluginCPU are parts of one processor.
	HostCPU   float64 `json:"hostCPU"`
	PluginCPU float64 `json:"pluginCPU"`
}

// Cancelled is what is left of calls that were given up.
type Cancelled struct {
	// Late is how long after the caller had given up its call came back: 99 of 100.
	Late time.Duration `json:"late"`
	// Busy is how many calls the plugin was busy with 100 ms after the last.
	Busy int `json:"busy"`
	// HostCPU and PluginCPU are parts of one processor, from then on.
	HostCPU   float64 `json:"hostCPU"`
	PluginCPU float64 `json:"pluginCPU"`
	// Memory is by how many bytes both sides hold more than before.
	Memory float64 `json:"memory"`
}
