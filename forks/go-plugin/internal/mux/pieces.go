// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"io"
	"strings"
	"sync"
	"unsafe"
)

// pieceSize is the most that one piece of a long message holds, in bytes.
const pieceSize = 64 << 10

var fullPieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// pieces are the bytes of a long message, in pieces, so that it takes no more memory
// than twice what has come. As an io.Reader and io.ByteReader they give what was put in,
// and free it.
//
// The bytes of a value that is nothing but bytes or a text may be put into one piece of their
// own, which is then the value: see plan.
type pieces struct {
	list [][]byte
	size int // bytes that were put in
	at   int // what was read of the first
	head int // how many bytes go before the value
	// value is how many bytes that has; 0: it has no piece of its own.
	value int
}

// plan has the next bytes put into a piece of head bytes, and those behind them into one for
// value bytes.
func (c *pieces) plan(head, value int) { c.head, c.value = head, value }

// takeValue takes out the piece of the value, if it is all that is left, and whole.
func (c *pieces) takeValue() []byte {
	if c.value == 0 || len(c.list) != 1 || len(c.list[0]) != c.value || c.at > 0 {
		return nil
	}
	value := c.list[0]
	c.list, c.at = nil, 0
	return value
}

// readFrom puts n bytes of in.
func (c *pieces) readFrom(in io.Reader, n int) error {
	for n > 0 {
		last := c.room(n)
		some := min(n, cap(*last)-len(*last))
		if _, err := io.ReadFull(in, (*last)[len(*last):len(*last)+some]); err != nil {
			return midway(err, 1)
		}
		*last = (*last)[:len(*last)+some]
		c.size += some
		n -= some
	}
	return nil
}

// room returns a piece that has some for the n bytes that are to come.
func (c *pieces) room(n int) *[]byte {
	if k := len(c.list); k > 0 && len(c.list[k-1]) < cap(c.list[k-1]) {
		return &c.list[k-1]
	}
	switch {
	case c.value > 0 && c.size == 0:
		c.list = append(c.list, make([]byte, 0, c.head))
	case c.value > 0 && c.size == c.head:
		c.list = append(c.list, newValue(c.value))
	case max(n, c.size) < pieceSize:
		c.list = append(c.list, make([]byte, 0, max(n, c.size)))
	default:
		c.list = append(c.list, fullPieces.Get().(*[pieceSize]byte)[:0])
	}
	return &c.list[len(c.list)-1]
}

// Read implements io.Reader.
func (c *pieces) Read(p []byte) (int, error) {
	if len(c.list) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.list[0][c.at:])
	if c.at += n; c.at == len(c.list[0]) {
		c.freeFirst()
	}
	return n, nil
}

// text returns all that is left, n bytes.
func (c *pieces) text(n int) string {
	var text strings.Builder
	text.Grow(n)
	for len(c.list) > 0 {
		text.Write(c.list[0][c.at:])
		c.freeFirst()
	}
	return text.String()
}

// newValue returns room for n bytes of a value. What was in that memory before is not cleared:
// nobody gets it before all of the value has come.
func newValue(n int) []byte {
	var room strings.Builder
	room.Grow(n)
	room.WriteByte(0)
	return unsafe.Slice(unsafe.StringData(room.String()), n)[:0]
}

// ReadByte implements io.ByteReader, without which gob would read ahead.
func (c *pieces) ReadByte() (byte, error) {
	var b [1]byte
	_, err := c.Read(b[:])
	return b[0], err
}

// free drops all that is left.
func (c *pieces) free() {
	for len(c.list) > 0 {
		c.freeFirst()
	}
}

func (c *pieces) freeFirst() {
	if first := c.list[0]; cap(first) == pieceSize && c.value == 0 {
		fullPieces.Put((*[pieceSize]byte)(first[:pieceSize]))
	}
	c.list[0] = nil
	c.list, c.at = c.list[1:], 0
}
