// SPDX-License-Identifier: MPL-2.0

package longproto

import (
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/encoding/protowire"
)

// pieceSize is how many bytes are copied at once at most.
const pieceSize = 64 << 10

// cursor is a place in an encoded message, of which left bytes are still to be read. A copy
// of it is the same place. The pieces have at least as many bytes.
type cursor struct {
	data mem.BufferSlice // the first is the one that is being read
	at   int             // what was read of that
	left int
}

func newCursor(data mem.BufferSlice) cursor { return cursor{data: data, left: data.Len()} }

// piece takes the next bytes that are in one piece, n at most and some.
func (c *cursor) piece(n int) []byte {
	for {
		first := c.data[0].ReadOnlyData()[c.at:]
		if len(first) == 0 {
			c.data, c.at = c.data[1:], 0
			continue
		}
		first = first[:min(n, len(first))]
		c.at += len(first)
		c.left -= len(first)
		return first
	}
}

// read fills p, for which there is enough.
func (c *cursor) read(p []byte) {
	for len(p) > 0 {
		p = p[copy(p, c.piece(min(len(p), pieceSize))):]
	}
}

// take returns the next n bytes, of which there are as many. They are a copy if they are not
// in one piece.
func (c *cursor) take(n int) []byte {
	first := c.piece(n)
	if len(first) == n {
		return first
	}
	all := make([]byte, n)
	c.read(all[copy(all, first):])
	return all
}

// skip goes n bytes on, of which there are as many.
func (c *cursor) skip(n int) {
	c.left -= n
	for n > 0 {
		first := len(c.data[0].ReadOnlyData()) - c.at
		if n < first {
			c.at += n
			return
		}
		n -= first
		c.data, c.at = c.data[1:], 0
	}
}

// varint takes a number. ok is false if there is none.
func (c *cursor) varint() (n uint64, ok bool) {
	if c.left == 0 {
		return 0, false
	}
	var b [10]byte // a number has no more
	if now := c.data[0].ReadOnlyData()[c.at:]; len(now) >= len(b) && c.left >= len(b) {
		n, size := protowire.ConsumeVarint(now)
		if size <= 0 {
			return 0, false
		}
		c.at += size
		c.left -= size
		return n, true
	}
	for i := 0; i < len(b) && c.left > 0; i++ {
		if b[i] = c.piece(1)[0]; b[i] < 0x80 {
			n, size := protowire.ConsumeVarint(b[:i+1])
			return n, size > 0
		}
	}
	return 0, false
}

// field takes the tag of a field, and goes to its value, which has size bytes. number is zero
// unless they are behind their length. ok is false if there is no such field, or one that has
// no size, such as a group.
func (c *cursor) field() (number protowire.Number, size int, ok bool) {
	tag, ok := c.varint()
	if !ok {
		return 0, 0, false
	}
	of, kind := protowire.DecodeTag(tag)
	switch kind {
	case protowire.VarintType:
		_, ok = c.varint()
	case protowire.Fixed32Type:
		size = 4
	case protowire.Fixed64Type:
		size = 8
	case protowire.BytesType:
		var n uint64
		if n, ok = c.varint(); n > uint64(c.left) {
			return 0, 0, false
		}
		number, size = of, int(n)
	default:
		return 0, 0, false
	}
	return number, size, ok && size <= c.left
}
