// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"encoding/binary"
	"sync"
)

// kind is what a message is.
type kind byte

// A message is its length as uint32, big-endian, which counts all that follows;
// its kind, one byte; and the fields of the kind: numbers as unsigned varints of
// encoding/binary. A value or text is the rest of the message.
const (
	request  kind = 1 + iota // host: channel, number, length of the method's name, name, arguments
	answer                   // plugin: channel, number, reply
	failure                  // plugin: channel, number, text
	release                  // host: channel
	streams                  // both: bytes of the yamux session of brokered streams
	draining                 // plugin
	credit                   // host: it takes one more output
	output                   // plugin: 1 for stdout or 2 for stderr, bytes
	probe                    // plugin: it wants a sign of life
	alive                    // host: the sign
	open                     // host: channel, name of a kind
)

// fresh is added to the kind of a request or answer whose value begins a new gob
// stream: the values before it on the channel do not count.
const fresh kind = 0x80

const (
	lengthSize = 4
	// maxMethod bounds the name of a service and method, in bytes.
	maxMethod = 1 << 10
	// keepBuffer is the capacity up to which a buffer is used again.
	keepBuffer = 4 << 20
)

// buffer is a message that is being made, and then messages that wait to be
// written.
type buffer struct{ data []byte }

var buffers = sync.Pool{New: func() any { return &buffer{data: make([]byte, 0, 256)} }}

// newMessage begins a message with the numbers of its kind. It ends with seal.
func newMessage(k kind, numbers ...uint64) *buffer {
	b := buffers.Get().(*buffer)
	b.data = append(b.data[:0], 0, 0, 0, 0, byte(k))
	for _, n := range numbers {
		b.data = binary.AppendUvarint(b.data, n)
	}
	return b
}

func (b *buffer) text(s string) { b.data = append(b.data, s...) }

// seal writes the length, which is at most maximum.
func (b *buffer) seal(maximum int) error {
	n := len(b.data) - lengthSize
	if n > bound(maximum) {
		return &TooLargeError{Size: uint64(n), Max: uint64(bound(maximum))}
	}
	binary.BigEndian.PutUint32(b.data, uint32(n))
	return nil
}

// isPending says that the connection must have taken the message before a plugin
// may exit: an answer, or the notice that it drains.
func (b *buffer) isPending() bool {
	switch kind(b.data[lengthSize]) &^ fresh {
	case answer, failure, draining:
		return true
	}
	return false
}

// recycle lets others use the buffer.
func (b *buffer) recycle() {
	if cap(b.data) <= keepBuffer {
		buffers.Put(b)
	}
}
