// SPDX-License-Identifier: MPL-2.0

package plugin

import "encoding/binary"

// Of HTTP/2 (RFC 9113, sections 4.1 and 6.8).
const (
	frameHeader   = 9
	frameSettings = 4
	frameGoAway   = 7
	goAwayBody    = 8 // the last stream, the error code
)

// goAwayWatch looks through what a plugin sends for the GOAWAY by which gRPC
// says that it is about to leave. gRPC itself tells nobody of it: what an
// application sees of a connection that was left is the same as of a broken one.
type goAwayWatch struct {
	leaving func() // called once

	begun bool   // the first frame is that of HTTP/2
	over  bool   // nothing is looked for any more
	skip  uint32 // what is left of a frame that does not matter
	have  int
	head  [frameHeader + goAwayBody]byte
}

// see takes what was read next. It is used by one goroutine at a time.
func (w *goAwayWatch) see(p []byte) {
	for len(p) > 0 && !w.over {
		if w.skip > 0 {
			n := min(uint64(w.skip), uint64(len(p)))
			w.skip -= uint32(n)
			p = p[n:]
			continue
		}
		want := frameHeader
		if w.have >= frameHeader {
			want += goAwayBody
		}
		n := copy(w.head[w.have:want], p)
		p = p[n:]
		if w.have += n; w.have == want {
			w.decide()
		}
	}
}

// decide looks at a header that is complete, or at a GOAWAY that is.
func (w *goAwayWatch) decide() {
	length := binary.BigEndian.Uint32(w.head[:]) >> 8
	kind := w.head[3]
	switch {
	case w.have > frameHeader:
		if binary.BigEndian.Uint32(w.head[w.have-4:]) == 0 {
			w.over = true
			w.leaving()
		}
		w.skip, w.have = length-goAwayBody, 0
	case !w.begun && kind != frameSettings:
		// Dial options of the host's own may put something else beneath gRPC.
		w.over = true
	case kind == frameGoAway && length >= goAwayBody:
		w.begun = true
	default:
		w.begun = true
		w.skip, w.have = length, 0
	}
}
