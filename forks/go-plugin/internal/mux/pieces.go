// SPDX-License-Identifier: MPL-2.0

package mux

import (
	"io"
	"sync"
)

// pieceSize is the most that one piece of a long message holds, in bytes.
const pieceSize = 64 << 10

var fullPieces = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// pieces are the bytes of a long message, in pieces, so that it takes no more memory
// than twice what has come. As an io.Reader and io.ByteReader they give what was put in,
// and free it.
type pieces struct {
	list [][]byte
	size int // bytes that were put in
	at   int // what was read of the first
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
	if size := max(n, c.size); size < pieceSize {
		c.list = append(c.list, make([]byte, 0, size))
	} else {
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
	if first := c.list[0]; cap(first) == pieceSize {
		fullPieces.Put((*[pieceSize]byte)(first[:pieceSize]))
	}
	c.list[0] = nil
	c.list, c.at = c.list[1:], 0
}
