// SPDX-License-Identifier: MPL-2.0

package plugin

import "encoding/binary"

// Of HTTP/2 (RFC 9113, sections 4.1 and 6).
const (
	frameHeader   = 9
	frameData     = 0
	frameHeaders  = 1
	frameSettings = 4
	frameGoAway   = 7
)

// frameWalk follows the frames in one direction of an HTTP/2 connection.
type frameWalk struct {
	head [frameHeader]byte // of the frame at hand
	have int
	left int // of its payload, after the piece at hand
}

func (w *frameWalk) kind() byte { return w.head[3] }

func (w *frameWalk) stream() uint32 { return binary.BigEndian.Uint32(w.head[5:]) &^ (1 << 31) }

// walk takes what comes next on the connection, and calls see with each piece of
// each frame's payload, with an empty one where there is none.
func (w *frameWalk) walk(p []byte, see func(piece []byte)) {
	for len(p) > 0 {
		if w.have < frameHeader {
			n := copy(w.head[w.have:], p)
			w.have += n
			p = p[n:]
			if w.have < frameHeader {
				return
			}
			w.left = int(binary.BigEndian.Uint32(w.head[:]) >> 8)
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
