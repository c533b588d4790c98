// SPDX-License-Identifier: MPL-2.0

package netrpc

import (
	"bufio"
	"errors"
	"io"

	"github.com/hashicorp/go-plugin/internal/rpcmux"
)

// gobMessages is what a gob decoder reads from where messages are bounded. One that is
// too long is read and dropped, and reading gives an *rpcmux.TooLargeError in its place:
// the stream stays in step, as gob describes types in messages of their own.
//
// A message of gob is its length and as many bytes. A length below 128 is one byte;
// any other is the negated number of its bytes, and these, big-endian (package gob).
type gobMessages struct {
	r    *bufio.Reader
	max  uint64
	left uint64 // of the message
	head []byte // of its length, what was not handed on yet
	room [9]byte
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
	if len(p) == 0 {
		return 0, nil
	}
	if len(g.head) == 0 && g.left == 0 {
		if err := g.begin(); err != nil {
			return 0, err
		}
	}
	if len(g.head) > 0 {
		n := copy(p, g.head)
		g.head = g.head[n:]
		return n, nil
	}
	n, err := g.r.Read(p[:min(uint64(len(p)), g.left)])
	g.left -= uint64(n)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// begin reads the length of the next message.
func (g *gobMessages) begin() error {
	first, err := g.r.ReadByte()
	if err != nil {
		return err
	}
	g.room[0] = first
	if first < 128 {
		g.head, g.left = g.room[:1], uint64(first)
		return nil
	}
	n := -int(int8(first))
	if n > 8 {
		g.head = g.room[:1] // gob says what is wrong with it
		return nil
	}
	if _, err := io.ReadFull(g.r, g.room[1:1+n]); err != nil {
		return err
	}
	size := uint64(0)
	for _, b := range g.room[1 : 1+n] {
		size = size<<8 | uint64(b)
	}
	if size <= g.max {
		g.head, g.left = g.room[:1+n], size
		return nil
	}
	return g.drop(size)
}

// drop reads a message that is too long.
func (g *gobMessages) drop(size uint64) error {
	for left := size; left > 0; {
		n, err := g.r.Discard(int(min(left, 1<<20)))
		if err != nil {
			return err
		}
		left -= uint64(n)
	}
	return &rpcmux.TooLargeError{Size: size, Max: g.max}
}
