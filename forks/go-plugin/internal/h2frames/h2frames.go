// SPDX-License-Identifier: MPL-2.0

// Package h2frames follows the frames in one direction of an HTTP/2 connection as they
// pass by, without holding them up. gRPC does not tell its application what it has written.
package h2frames

import "encoding/binary"

// Kinds of frames (RFC 9113, section 6).
const (
	Data    = 0
	Headers = 1
	GoAway  = 7
)

// headerSize is how long a frame's header is, in bytes (RFC 9113, section 4.1).
const headerSize = 9

// Walk is where in the frames one direction of a connection is. The zero value is at
// the first one. One goroutine at a time may use it.
type Walk struct {
	header [headerSize]byte // of the frame at hand
	have   int              // of the header
	left   int
}

// Kind is that of the frame at hand.
func (w *Walk) Kind() byte { return w.header[3] }

// Stream is that of the frame at hand.
func (w *Walk) Stream() uint32 { return binary.BigEndian.Uint32(w.header[5:]) &^ (1 << 31) }

// Left is how many bytes of the frame's payload are still to come after the piece at
// hand.
func (w *Walk) Left() int { return w.left }

// Next takes what comes next on the connection, and calls see with each piece of each
// frame's payload, with an empty one where there is none. The pieces are parts of p.
func (w *Walk) Next(p []byte, see func(piece []byte)) {
	for len(p) > 0 {
		if w.have < headerSize {
			n := copy(w.header[w.have:], p)
			w.have += n
			p = p[n:]
			if w.have < headerSize {
				return
			}
			w.left = int(binary.BigEndian.Uint32(w.header[:]) >> 8)
		}
		n := min(w.left, len(p))
		w.left -= n
		see(p[:n])
		p = p[n:]
		if w.left == 0 {
			w.have = 0
		}
	}
}
