// SPDX-License-Identifier: MPL-2.0

// Package stdio carries a plugin's standard output and error to every host
// that is attached, without ever making the plugin wait for one of them. What
// a host does not read in time is dropped for that host alone, counted, and
// the host is told so in the stream itself.
package stdio

import "fmt"

// Channel is one of the two outputs. The numbers are those of
// plugin.StdioData.Channel in the gRPC protocol.
type Channel uint8

// The outputs of a process.
const (
	Stdout Channel = 1
	Stderr Channel = 2
)

// String returns the output's name.
func (c Channel) String() string {
	switch c {
	case Stdout:
		return "stdout"
	case Stderr:
		return "stderr"
	default:
		return fmt.Sprintf("channel %d", uint8(c))
	}
}

// Chunk is a piece of output. Data is shared by all subscribers and must not
// be changed.
type Chunk struct {
	Channel Channel
	Data    []byte
}

// chunkOverhead is what a queued chunk costs beside its bytes. It is counted
// against the limit, so that many tiny writes are bounded as well.
const chunkOverhead = 64

func (c Chunk) cost() int { return len(c.Data) + chunkOverhead }

// notice is what a reader finds in place of what it missed. It starts on a
// line of its own.
func notice(ch Channel, missed uint64, midLine bool) Chunk {
	text := fmt.Sprintf("[go-plugin: %d bytes of output missed]\n", missed)
	if midLine {
		text = "\n" + text
	}
	return Chunk{Channel: ch, Data: []byte(text)}
}
