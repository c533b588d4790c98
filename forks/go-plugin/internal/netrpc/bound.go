// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"bufio"
	"errors"
	"io"
	"math"

	"github.com/hashicorp/go-plugin/internal/mux"
)

// gobMessages is what a gob decoder reads from where messages are bounded. One that is
// too long is read and dropped, and reading gives an *mux.TooLargeError in its place:
// the stream stays in step, as gob describes types in messages of their own.
//
// A message of gob is its length and as many bytes. A length below 128 is one byte;
// any other is the negated number of its bytes, and these, big-endian (package gob).
type gobMessages struct {
	r    *bufio.Reader
	max  uint64
	left uint64 // of the message and its length
}

// boundGob gives what a decoder shall read: r itself, with a buffer, if max is zero.
func boundGob(r io.Reader, max int) io.Reader {
	buffered := bufio.NewReader(r)
	if max <= 0 {
		return buffered
	}
	return &gobMessages{r: buffered, max: uint64(max)}
}

// ReadByte implements io.ByteReader, without which gob would read ahead.
func (g *gobMessages) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(g, b[:])
	return b[0], err
}

// Read implements io.Reader.
func (g *gobMessages) Read(p []byte) (int, error) {
	if g.left == 0 {
		if err := g.begin(); err != nil {
			return 0, err
		}
	}
	n, err := g.r.Read(p[:min(uint64(len(p)), g.left)])
	g.left -= uint64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// begin looks at the length of the next message, and drops one that is too long.
func (g *gobMessages) begin() error {
	first, err := g.r.Peek(1)
	if err != nil {
		return err
	}
	length, size := 1, uint64(first[0])
	if n := -int(int8(first[0])); n > 8 {
		size = 0 // gob says what is wrong with this length.
	} else if n > 0 {
		head, err := g.r.Peek(1 + n)
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		length, size = 1+n, 0
		for _, b := range head[1:] {
			size = size<<8 | uint64(b)
		}
	}
	if size <= g.max {
		g.left = uint64(length) + size
		return nil
	}
	_, _ = g.r.Discard(length)
	if _, err := io.CopyN(io.Discard, g.r, int64(min(size, math.MaxInt64))); err != nil {
		return err
	}
	return &mux.TooLargeError{Size: size, Max: g.max}
}
