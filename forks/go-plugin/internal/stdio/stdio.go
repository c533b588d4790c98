// SPDX-License-Identifier: MPL-2.0

// Package stdio carries a plugin's standard output and error to its hosts.
//
// A [Hub] gives it to every host that is attached over the network, without ever
// making the plugin wait for one of them. What a host does not read in time is dropped
// for that host alone, counted, and the host is told so in the stream itself. A
// [Source] gives the output of a child to the host that started it, which the child
// waits for.
//
// A [Barrier] keeps answers behind the output that was written before them.
package stdio

import (
	"context"
	"fmt"
)

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

// Outputs gives each host its share of a plugin's output: a [Hub] all of it, as far as
// the host keeps up, a [Source] what no other host takes. Its methods may be called from
// any goroutine.
type Outputs interface {
	// Subscribe returns both outputs as one stream. The caller closes it.
	Subscribe() Stream
	// Split returns the two separately, as net/rpc hosts over yamux read them. The
	// caller closes both.
	Split() (stdout, stderr *Reader)
}

// Stream is the output for one host. One goroutine at a time calls Next. All other
// methods may be called from any goroutine.
type Stream interface {
	Syncer
	Finisher
	// Next returns what was written next, waiting for it if need be: io.EOF when there
	// is no more, and the cause of ctx when that ends first. What it has returned counts
	// as passed on when it is called again.
	Next(ctx context.Context) (Chunk, error)
	// Close ends the stream: a Next that waits returns io.EOF. What Next returned last
	// was not passed on then, unless Next was called again. It may be called more than
	// once.
	Close()
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
