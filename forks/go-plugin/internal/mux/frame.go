// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"encoding/binary"
	"sync"
	"time"
)

// kind is what a frame is. Its lower six bits are the kind, the others are flags.
type kind byte

// A frame is its length as uint32, big-endian, which counts all that follows; its kind,
// one byte; and the fields of the kind: numbers as unsigned varints of encoding/binary. A
// value, a text or bytes are the rest of the frame. PROTOCOL.md has the fields of each.
const (
	kindRequest   kind = 1 + iota // host: channel, call, timeout, metadata, method, [size], arguments
	kindAnswer                    // plugin: channel, call, [size], reply
	kindFailure                   // plugin: channel, call, [size], text: the method's error
	kindRefused                   // plugin: channel, call, code, text: the call was not run
	kindCancel                    // host: channel, call
	kindPart                      // both: channel, call, bytes
	kindGrant                     // both: channel, call, number of bytes
	kindRelease                   // host: channel
	kindOpen                      // host: channel, name of a kind
	kindStream                    // both: stream, purpose, header of the purpose
	kindData                      // both: stream, bytes
	kindCredit                    // both: stream, number of bytes
	kindEnd                       // both: stream
	kindReset                     // both: stream, text
	kindDraining                  // plugin
	kindProbe                     // both: it wants a sign of life
	kindAlive                     // both: the sign
	kindBye                       // both: text: why the sender ends the session
	kindWithdrawn                 // host: a request's fields: it is not run
	kindAccepts                   // host: a broker id that it accepts
)

const (
	// flagFresh is added to the kind of a request or answer whose value begins a new gob
	// stream: the values before it on the channel do not count.
	flagFresh kind = 0x80
	// flagMore is added to the kind of a frame whose message goes on in a later one.
	flagMore kind = 0x40

	flags = flagFresh | flagMore
)

// Codes of a refused call.
const (
	refusedBusy      = 1 + iota // too many calls are under way: later, or elsewhere
	refusedUnserved             // there is nothing that serves the channel
	refusedCancelled            // the host has cancelled it
	refusedTooLarge             // its arguments have too many bytes
)

const (
	lengthSize = 4
	// maxFrame bounds what follows the length of a frame, in bytes.
	maxFrame = 288 << 10
	// maxMethod bounds the name of a service and method, in bytes.
	maxMethod = 1 << 10
	// maxMetadata bounds the metadata of a request, in bytes, and maxPairs their number.
	maxMetadata = 16 << 10
	maxPairs    = 64
	// keepBuffer is the capacity up to which a buffer is used again.
	keepBuffer = 4 << 20
)

// buffer is a frame that is being made, and then frames that wait to be written.
type buffer struct {
	data []byte
	tail []byte   // goes right behind data; only of a part of a long message
	of   *sending // whose data it is; nil: its own
	next *buffer  // what is written behind it
}

// buffers are those of up to batchRoom, and others larger ones.
var (
	buffers = sync.Pool{New: func() any { return &buffer{data: make([]byte, 0, 256)} }}
	batches = sync.Pool{New: func() any { return &buffer{data: make([]byte, 0, batchRoom)} }}
	longs   = sync.Pool{New: func() any { return new(buffer) }}
)

// batchRoom is what a batch of parts and what is written before it usually need, in bytes.
const batchRoom = batchSize + 4<<10

// newBuffer returns an empty buffer for something short.
func newBuffer() *buffer { return fromPool(&buffers) }

func fromPool(pool *sync.Pool) *buffer {
	b := pool.Get().(*buffer)
	b.data = b.data[:0]
	return b
}

// newMessage begins a frame with the numbers of its kind. It ends with seal.
func newMessage(k kind, numbers ...uint64) *buffer {
	b := newBuffer()
	b.begin(k, numbers...)
	return b
}

// begin appends the beginning of a frame and returns where it is, for finish.
func (b *buffer) begin(k kind, numbers ...uint64) (start int) {
	start = len(b.data)
	b.data = append(b.data, 0, 0, 0, 0, byte(k))
	for _, n := range numbers {
		b.number(n)
	}
	return start
}

// finish writes the length of the frame that begins at start.
func (b *buffer) finish(start int) {
	binary.BigEndian.PutUint32(b.data[start:], uint32(len(b.data)-start-lengthSize))
}

func (b *buffer) number(n uint64) { b.data = binary.AppendUvarint(b.data, n) }

func (b *buffer) text(s string) { b.data = append(b.data, s...) }

// lengthAndText appends the length of a text and the text.
func (b *buffer) lengthAndText(s string) {
	b.number(uint64(len(s)))
	b.text(s)
}

// cutText takes a text and its length from data, which were read by lengthAndText.
func cutText(data []byte) (text string, rest []byte) {
	n, size := binary.Uvarint(data)
	data = data[size:]
	return string(data[:n]), data[n:]
}

// call appends what a request says of its call before the arguments. metadata are keys
// and values in turn.
func (b *buffer) call(method string, timeout time.Duration, metadata ...string) {
	b.carried(timeout, metadata...)
	b.lengthAndText(method)
}

// carried appends what a call carries beside its arguments.
func (b *buffer) carried(timeout time.Duration, metadata ...string) {
	b.number(uint64(timeout.Microseconds()))
	b.number(uint64(len(metadata) / 2))
	for _, s := range metadata {
		b.lengthAndText(s)
	}
}

// seal writes the length, which is at most what a message may have.
func (b *buffer) seal() error {
	n := len(b.data) - lengthSize
	if n > bound(0) {
		return &TooLargeError{Size: uint64(n), Max: uint64(bound(0))}
	}
	b.finish(0)
	return nil
}

// isPending says that the connection must have taken the message before a plugin
// may exit: an answer, or the notice that it drains.
func (b *buffer) isPending() bool {
	switch kind(b.data[lengthSize]) &^ flags {
	case kindAnswer, kindFailure, kindRefused, kindDraining:
		return true
	}
	return false
}

func (b *buffer) isRequest() bool { return kind(b.data[lengthSize])&^flags == kindRequest }

// recycle lets others use the buffer.
func (b *buffer) recycle() {
	b.next = nil
	if b.of != nil {
		b.of.written()
		return
	}
	switch n := cap(b.data); {
	case n > keepBuffer:
	case n > 2*batchRoom:
		longs.Put(b)
	case n >= batchRoom:
		batches.Put(b)
	default:
		buffers.Put(b)
	}
}
